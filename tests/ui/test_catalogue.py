"""The catalogue page on a real Delta table."""

from __future__ import annotations

from tests.ui.conftest import assert_calm, grid, texts, write_catalogue


def test_counts_version_and_splits_are_shown(screen, shop_catalogue):
    test = screen.open("catalogue")
    shown = {metric.label: metric.value for metric in test.metric}
    assert shown == {"Products": "60", "Labels": "3", "Version": "4", "Train": "54", "Test": "6", "Rejected": "2"}


def test_products_come_in_pages(screen, shop_catalogue):
    test = screen.open("catalogue")
    first = [card["id"] for card in grid(test)]
    assert len(first) == 24
    test.pagination[0].set_value(3).run()
    last = [card["id"] for card in grid(test)]
    assert len(last) == 12
    assert not set(first) & set(last)


def test_filters_narrow_the_pictures_and_start_at_the_first_page(screen, shop_catalogue):
    test = screen.open("catalogue")
    test.pagination[0].set_value(3).run()
    test.selectbox(key="browse_label").select("blob").run()
    assert {card["lines"][0].split(" · ")[0] for card in grid(test)} == {"blob"}
    assert "20 products" in texts(test)
    test.selectbox(key="browse_split").select("test").run()
    assert "2 products" in texts(test)
    test.text_input(key="browse_search").set_value("no such thing").run()
    assert "No product matches" in texts(test)


def test_labels_are_drawn_and_rejected_rows_are_listed_with_the_reason(screen, shop_catalogue):
    labels = screen.open("catalogue", view="Labels")
    assert_calm(labels)
    assert len(labels.get("plotly_chart")) == 1
    rejected = screen.open("catalogue", view="Rejected").dataframe[0].value
    assert list(rejected["Reason"]) == ["It is damaged."] * 2


def test_a_link_names_the_catalogue(screen, shop_catalogue):
    write_catalogue(screen.settings, "another")
    assert screen.open("catalogue").selectbox(key="catalogue").value == "another"
    assert screen.open("catalogue", catalogue="shop").selectbox(key="catalogue").value == "shop"
