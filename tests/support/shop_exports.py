"""Invented exports in the layouts that are known, with the quirks that public reports tell of, and what is right of each."""

from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

CDN = "https://cdn.example.com"


@dataclass(frozen=True)
class Export:
    """An export, and what its rows are read as.

    Attributes:
        profile: Name of its layout.
        files: Content by file name; the first one is the table.
        products: What is right of each product, in order; only some fields of it, ``pictures`` among them.
        others: Rows that are no product of their own, by what they are.
        warnings: Warnings by kind.
        counts: Products, variants, pictures.
    """

    profile: str
    files: dict[str, bytes]
    products: tuple[dict[str, Any], ...]
    counts: tuple[int, int, int]
    others: dict[str, int] = field(default_factory=dict)
    warnings: dict[str, int] = field(default_factory=dict)


def table(header: str, *rows: dict[str, Any], delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    """Write rows, each by column, below a header that is written with commas."""
    text = io.StringIO()
    names = header.split(",")
    writer = csv.DictWriter(text, names, delimiter=delimiter, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def lines(*rows: dict[str, Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _pictures(*names: str) -> Sequence[str]:
    return [f"{CDN}/{name}" for name in names]


SHOPIFY_HEADER = (
    "Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,"
    "Option2 Value,Variant SKU,Variant Inventory Qty,Variant Price,Variant Compare At Price,Variant Barcode,Image Src,"
    "Image Position,Image Alt Text,Variant Image,Status"
)
_MUG = {"Handle": "mug", "Variant Price": "12.00"}
SHOPIFY_ROWS = (
    {
        **_MUG,
        "Title": "Mug &amp; Saucer",
        "Body (HTML)": "<p>Two\nlines</p>",
        "Vendor": "Kiln",
        "Type": "Mug",
        "Option1 Name": "Colour",
        "Option1 Value": "Blue",
        "Option2 Name": "Size",
        "Option2 Value": "S",
        "Variant SKU": "'0042",
        "Variant Inventory Qty": "4",
        "Variant Compare At Price": "15.00",
        "Status": "active",
        "Image Src": f"{CDN}/blue.jpg?v=1",
        "Image Position": "1",
        "Variant Image": f"{CDN}/blue.jpg?v=1",
    },
    {
        "Handle": "",
        "Variant Price": "12.00",
        "Option1 Value": "Red",
        "Option2 Value": "S",
        "Variant SKU": "",
        "Variant Inventory Qty": "-2",
        "Image Src": f"{CDN}/side.jpg?v=1",
        "Image Position": "3",
        "Variant Image": f"{CDN}/red.jpg?v=2",
    },
    {"Handle": "mug", "Image Src": f"{CDN}/red.jpg?v=2", "Image Position": "2"},
    {
        "Handle": "card",
        "Title": "Gift card",
        "Option1 Name": "Title",
        "Option1 Value": "Default Title",
        "Variant Price": "50",
        "Status": "draft",
        "Image Src": f"{CDN}/card.png",
    },
)
_MUGS = (
    {
        "product_id": "0042",
        "group_id": "mug",
        "title": "Mug & Saucer",
        "brand": "Kiln",
        "label": "Mug",
        "price": 15.0,
        "sale_price": 12.0,
        "stock": 4,
        "colour": "Blue",
        "status": "active",
        "pictures": _pictures("blue.jpg?v=1", "side.jpg?v=1"),
    },
    {
        "product_id": "mug/Red/S",
        "group_id": "mug",
        "title": "Mug & Saucer",
        "label": "Mug",
        "price": 12.0,
        "sale_price": None,
        "stock": None,
        "colour": "Red",
        "pictures": _pictures("red.jpg?v=2", "side.jpg?v=1"),
    },
    {"product_id": "card", "price": 50.0, "status": "draft", "pictures": _pictures("card.png")},
)
_NEW_NAMES = {
    "Handle": "URL handle",
    "Body (HTML)": "Description",
    "Product Category": "Product category",
    "Published": "Published on online store",
    **{f"Option{n} {w}": f"Option{n} {w.lower()}" for n in (1, 2) for w in ("Name", "Value")},
    "Variant SKU": "SKU",
    "Variant Inventory Qty": "Inventory quantity",
    "Variant Price": "Price",
    "Variant Compare At Price": "Compare-at price",
    "Variant Barcode": "Barcode",
    "Image Src": "Product image URL",
    "Image Position": "Image position",
    "Image Alt Text": "Image alt text",
    "Variant Image": "Variant image URL",
}
_NEW_HEADER = ",".join(_NEW_NAMES.get(name, name) for name in SHOPIFY_HEADER.split(","))
_NEW_ROWS = [{_NEW_NAMES.get(name, name): value for name, value in row.items()} for row in SHOPIFY_ROWS]
_SHOPIFY = {"products": _MUGS, "counts": (2, 3, 4), "others": {"picture rows": 1}, "warnings": {"bad_stock": 1}}

WOO_HEADER = (
    "ID,Type,SKU,GTIN,Name,Published,In stock?,Stock,Sale price,Regular price,Categories,Images,Parent,Brands,"
    "Attribute 1 name,Attribute 1 value(s)"
)
_WOO = Export(
    "woocommerce",
    {
        "wc.csv": table(
            WOO_HEADER,
            {
                "ID": "12",
                "Type": "variation",
                "SKU": "p-1-g",
                "Name": "Pulli - Grün",
                "Published": "1",
                "Stock": ">10",
                "In stock?": "1",
                "Sale price": "39,90",
                "Regular price": "49,90",
                "Parent": "p-1",
                "Attribute 1 name": "Farbe",
                "Attribute 1 value(s)": "Grün",
                "GTIN": "4006381333931",
            },
            {
                "ID": "11",
                "Type": "variable",
                "SKU": "p-1",
                "Name": "Pulli",
                "Categories": "Mode > Pullis\\, warm, Neu",
                "Images": f"{CDN}/a,b.jpg, {CDN}/c.jpg",
                "Brands": "Moor & Heide",
                "Published": "1",
            },
            {
                "ID": "13",
                "Type": "variation",
                "Name": "Pulli - Grau",
                "Regular price": "49,90",
                "Parent": "id:11",
                "Images": f"{CDN}/grau.jpg",
                "In stock?": "backorder",
                "Attribute 1 name": "Farbe",
                "Attribute 1 value(s)": "Grau",
            },
            {
                "ID": "20",
                "Type": "simple, virtual",
                "SKU": "'-x",
                "Name": "'=Cap &amp; Co",
                "Published": "-1",
                "Regular price": "1.299",
                "Categories": "Caps",
                "Images": f"//cdn.example.com/cap.jpg|{CDN}/cap2.jpg",
            },
        )
    },
    (
        {
            "product_id": "p-1-g",
            "group_id": "p-1",
            "label": "Pullis, warm",
            "category": "Mode",
            "price": 49.9,
            "sale_price": 39.9,
            "brand": "Moor & Heide",
            "colour": "Grün",
            "stock": None,
            "availability": "in stock",
            "pictures": _pictures("a,b.jpg", "c.jpg"),
        },
        {
            "product_id": "13",
            "group_id": "p-1",
            "label": "Pullis, warm",
            "availability": "backorder",
            "pictures": _pictures("grau.jpg", "a,b.jpg", "c.jpg"),
        },
        {
            "product_id": "-x",
            "group_id": None,
            "title": "=Cap & Co",
            "price": 1299.0,
            "label": "Caps",
            "status": "draft",
            "pictures": ["//cdn.example.com/cap.jpg", f"{CDN}/cap2.jpg"],
        },
    ),
    (2, 3, 5),
    {"parent rows": 1},
    {"bad_stock": 1},
)

GOOGLE_HEADER = (
    "id,title,description,link,image_link,additional_image_link,availability,price,sale_price,brand,gtin,condition,"
    "item_group_id,google_product_category,product_type,color,gender"
)
_OFFERS = (
    {
        "id": "J-R",
        "title": "Jacket",
        "link": "https://s/j",
        "image_link": f"{CDN}/r.jpg",
        "availability": "in_stock",
        "additional_image_link": f"{CDN}/r2.jpg,{CDN}/r3.jpg",
        "price": "119.00 USD",
        "sale_price": "89.99 USD",
        "brand": "Fjell",
        "gtin": "4006381333931",
        "item_group_id": "J",
        "product_type": "Men > Jackets",
        "color": "Red",
    },
    {
        "id": "000123",
        "title": "Cap",
        "image_link": f"{CDN}/i?id=1&w=2",
        "availability": "preorder",
        "price": "1,049 EUR",
        "google_product_category": "Clothing > Hats",
        "gtin": "4006381333931",
    },
)
_JACKETS = (
    {
        "product_id": "J-R",
        "group_id": "J",
        "label": "Jackets",
        "category": "Men",
        "price": 119.0,
        "sale_price": 89.99,
        "currency": "USD",
        "availability": "in stock",
        "url": "https://s/j",
        "brand": "Fjell",
        "colour": "Red",
        "pictures": _pictures("r.jpg", "r2.jpg", "r3.jpg"),
    },
    {
        "product_id": "000123",
        "group_id": None,
        "label": "Hats",
        "price": 1049.0,
        "currency": "EUR",
        "availability": "preorder",
        "pictures": _pictures("i?id=1&w=2"),
    },
)


def _as_xml(row: dict[str, str]) -> str:
    parts = [
        (name, text) for name, value in row.items() for text in value.split(",https" if "additional" in name else "\0")
    ]
    return "".join(
        f"<g:{name}>{('https' + text if text.startswith('://') else text).replace('&', '&amp;').replace('>', '&gt;')}</g:{name}>"
        for name, text in parts
    )


_RSS = "".join(f"<item>{_as_xml(row)}<g:shipping><g:price>6.49 USD</g:price></g:shipping></item>" for row in _OFFERS)
_GOOGLE_XML = f'<rss xmlns:g="http://base.google.com/ns/1.0"><channel><title>S</title>{_RSS}</channel></rss>'

_META_HEADER = "id,title,availability,price,link,brand,quantity_to_sell_on_facebook,fb_product_category,status,image[0].url,image[1].url"
_META_ROW = {
    "id": "M1",
    "title": "Lamp",
    "availability": "in stock",
    "price": "59.50 EUR",
    "quantity_to_sell_on_facebook": "14",
    "fb_product_category": "home > lamps",
    "status": "archived",
    "image[0].url": f"{CDN}/l.png",
    "image[1].url": f"{CDN}/m.png",
}

_META_XML = f"""<rss xmlns:g="http://base.google.com/ns/1.0"><channel><title>S</title><item>
<g:id>M1</g:id><title>Lamp</title><g:image><url>{CDN}/l.png</url><tag>front</tag></g:image>
<g:image><url>{CDN}/m.png</url></g:image><g:additional_image_link>{CDN}/n.png</g:additional_image_link>
<g:price>59.50 EUR</g:price><g:quantity_to_sell_on_facebook>14</g:quantity_to_sell_on_facebook>
<g:fb_product_category>home &gt; lamps</g:fb_product_category><g:shipping><g:price>4 EUR</g:price></g:shipping>
</item></channel></rss>"""
_META_LAMP = {
    "product_id": "M1",
    "title": "Lamp",
    "price": 59.5,
    "currency": "EUR",
    "stock": 14,
    "label": "lamps",
    "pictures": [f"{CDN}/n.png", f"{CDN}/l.png", f"{CDN}/m.png"],
}
# What Atom has besides: ids and links of its own, of the feed and of each entry.
_ATOM = f"""<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0">
<title>S</title><link rel="self" href="https://shop.test/feed"/><id>tag:shop.test,2026:feed</id><author><name>S</name></author>
<entry><id>tag:shop.test,2026:1</id><g:id>A-1</g:id><title>Mug &amp; Saucer</title><link href="https://shop.test/1?a=1&amp;b=2"/>
<g:image_link>{CDN}/1.jpg</g:image_link><g:additional_image_link>{CDN}/2.jpg</g:additional_image_link>
<g:price>12.50 GBP</g:price><g:sale_price>9.99 GBP</g:sale_price><g:availability>in stock</g:availability>
<g:item_group_id>G1</g:item_group_id><g:product_type>Home &gt; Mugs</g:product_type></entry>
<entry><g:id>0002</g:id><title type="html">&lt;b&gt;Bowl&lt;/b&gt;</title><g:image_link>{CDN}/3.jpg</g:image_link>
<g:price>GBP 1,299.00</g:price><g:google_product_category>166 - Bowls</g:google_product_category></entry></feed>"""
_ATOM_MUGS = (
    {
        "product_id": "A-1",
        "group_id": "G1",
        "title": "Mug & Saucer",
        "url": "https://shop.test/1?a=1&b=2",
        "label": "Mugs",
        "category": "Home",
        "price": 12.5,
        "sale_price": 9.99,
        "currency": "GBP",
        "pictures": _pictures("1.jpg", "2.jpg"),
    },
    {
        "product_id": "0002",
        "title": "Bowl",
        "label": "Bowls",
        "price": 1299.0,
        "currency": "GBP",
        "pictures": _pictures("3.jpg"),
    },
)

BIG_HEADER = (
    "Item,ID,Name,Type,SKU,Options,Inventory Tracking,Current Stock,Price,Sale Price,Brand ID,Categories,Product URL,"
    "Is Visible,Variant Image URL,Internal Image URL (Export),Image URL (Import),Image is Thumbnail,Image Sort Order"
)
_IMAGE = {"Item": "Image", "Internal Image URL (Export)": ""}
_BIG = Export(
    "bigcommerce",
    {
        "big.csv": table(
            BIG_HEADER,
            {
                "Item": "Product",
                "ID": "210",
                "Name": "Stool",
                "Type": "physical",
                "SKU": "OAK",
                "Price": "79",
                "Sale Price": "0",
                "Categories": "23;24",
                "Product URL": "/stool/",
                "Is Visible": "TRUE",
            },
            {
                "Item": "Variant",
                "ID": "501",
                "SKU": "OAK-B",
                "Options": "Type=Swatch|Name=Color|Value=Black",
                "Current Stock": "6",
                "Variant Image URL": f"{CDN}/black.jpg",
            },
            {"Item": "Variant", "ID": "502", "Current Stock": "0", "Price": "99"},
            {
                **_IMAGE,
                "Internal Image URL (Export)": f"{CDN}/side.jpg",
                "Image is Thumbnail": "FALSE",
                "Image Sort Order": "0",
            },
            {
                **_IMAGE,
                "Internal Image URL (Export)": f"{CDN}/front.jpg",
                "Image is Thumbnail": "TRUE",
                "Image Sort Order": "1",
            },
            {"Item": "Video"},
            {
                "Item": "Product",
                "ID": "211",
                "Name": "Lamp",
                "Type": "physical",
                "SKU": "",
                "Price": "59.5",
                "Sale Price": "49",
                "Categories": "Home/Lamps;Sale",
                "Current Stock": "14",
            },
            {**_IMAGE, "Image URL (Import)": f"{CDN}/lamp.png"},
        )
    },
    (
        {
            "product_id": "OAK-B",
            "group_id": "OAK",
            "title": "Stool",
            "price": 79.0,
            "sale_price": None,
            "stock": 6,
            "label": None,
            "colour": "Black",
            "url": "/stool/",
            "status": "active",
            "pictures": _pictures("black.jpg", "front.jpg", "side.jpg"),
        },
        {
            "product_id": "502",
            "group_id": "OAK",
            "price": 99.0,
            "stock": 0,
            "pictures": _pictures("front.jpg", "side.jpg"),
        },
        {
            "product_id": "211",
            "group_id": None,
            "label": "Lamps",
            "category": "Home",
            "price": 59.5,
            "sale_price": 49.0,
            "stock": 14,
            "pictures": _pictures("lamp.png"),
        },
    ),
    (2, 3, 4),
    {"parent rows": 1, "picture rows": 3, "video rows": 1},
)

_OLD_HEADER = (
    "Item Type,Product ID,Product Name,Product Type,Product Code/SKU,Brand Name,Price,Sale Price,Current Stock Level,Category,"
    "Product Image File - 1,Product Image Is Thumbnail - 1,Product Image File - 2,Product Image Is Thumbnail - 2"
)
_OLD = Export(
    "bigcommerce-old",
    {
        "old.csv": table(
            _OLD_HEADER,
            {
                "Item Type": "Product",
                "Product ID": "7",
                "Product Name": "Shirt",
                "Product Code/SKU": "S",
                "Product Type": "P",
                "Brand Name": "Holm",
                "Price": "20.00",
                "Category": "Category Name: Tops, Category Path: Wear/Tops",
                "Product Image File - 1": "m/1/back.jpg",
                "Product Image Is Thumbnail - 1": "N",
                "Product Image File - 2": "m/1/front.jpg",
                "Product Image Is Thumbnail - 2": "Y",
            },
            {
                "Item Type": "  SKU",
                "Product ID": "71",
                "Product Name": "[S]Color=Red,[RB]Size=M",
                "Product Code/SKU": "S-R-M",
                "Current Stock Level": "3",
            },
            {"Item Type": "  Rule", "Product ID": "9", "Price": "[ADD]1"},
        )
    },
    (
        {
            "product_id": "S-R-M",
            "group_id": "S",
            "title": "Shirt",
            "brand": "Holm",
            "label": "Tops",
            "category": "Wear",
            "price": 20.0,
            "stock": 3,
            "colour": "Red",
            "pictures": ["m/1/front.jpg", "m/1/back.jpg"],
        },
    ),
    (1, 1, 2),
    {"parent rows": 1, "rule rows": 1},
)

_MAGENTO_HEADER = (
    "sku,store_view_code,attribute_set_code,product_type,categories,product_websites,name,price,special_price,url_key,base_image,"
    "small_image,additional_attributes,qty,is_in_stock,additional_images,configurable_variations,product_online"
)
_MAGENTO = Export(
    "magento",
    {
        "m.csv": table(
            _MAGENTO_HEADER,
            {
                "sku": "T-S",
                "attribute_set_code": "Top",
                "product_type": "simple",
                "name": "Tee S",
                "price": "29.000000",
                "special_price": "19.000000",
                "qty": "-3.0000",
                "is_in_stock": "0",
                "base_image": "no_selection",
                "additional_attributes": 'color=Blue,brand="Moor, Heide"',
            },
            {"sku": "T-S", "store_view_code": "de", "name": "T-Hemd S"},
            {
                "sku": "T-M",
                "attribute_set_code": "Top",
                "product_type": "simple",
                "name": "Tee M",
                "price": "29.000000",
                "qty": "12.0000",
                "is_in_stock": "1",
                "base_image": "/t/m.jpg",
                "additional_images": "/t/m.jpg,/t/m2.jpg",
            },
            {
                "sku": "T",
                "attribute_set_code": "Top",
                "product_type": "configurable",
                "name": "Tee",
                "base_image": "/t/t.jpg",
                "categories": "Default Category/Wear,Default Category/Wear/Tops",
                "url_key": "tee",
                "product_online": "1",
                "configurable_variations": "sku=T-S,size=S|sku=T-M,size=M",
                "additional_attributes": "brand=Holm,material=Cotton",
            },
        )
    },
    (
        {
            "product_id": "T-S",
            "group_id": "T",
            "title": "Tee S",
            "label": "Tops",
            "category": "Wear",
            "price": 29.0,
            "sale_price": 19.0,
            "stock": None,
            "availability": "out of stock",
            "brand": "Moor, Heide",
            "colour": "Blue",
            "material": "Cotton",
            "pictures": ["/t/t.jpg"],
        },
        {
            "product_id": "T-M",
            "group_id": "T",
            "stock": 12,
            "brand": "Holm",
            "url": "tee",
            "status": "active",
            "pictures": ["/t/m.jpg", "/t/m2.jpg"],
        },
    ),
    (1, 2, 3),
    {"parent rows": 1, "store view rows": 1},
    {"bad_stock": 1},
)

_AKENEO_HEADER = "sku;categories;enabled;family;parent;groups;brand;color;name-de_DE;name-en_US;price-EUR;price-USD;variation_image;image;picture"
_AKENEO = Export(
    "akeneo",
    {
        "a.csv": table(
            _AKENEO_HEADER.replace(";", ","),
            {
                "sku": "j-m",
                "categories": "men,new",
                "enabled": "1",
                "family": "jackets",
                "parent": "j",
                "brand": "alba",
                "color": "blue",
                "name-de_DE": "Jacke",
                "name-en_US": "Jacket",
                "price-EUR": "1.129,00",
                "price-USD": "1149.00",
                "variation_image": "files/j-m/variation_image/b.jpg",
                "image": "files/j-m/image/jacket blue.jpg",
            },
            {
                "sku": "bag",
                "enabled": "0",
                "family": "bags",
                "name-de_DE": "Tasche",
                "price-USD": "59",
                "picture": "files/bag/picture/b.png",
            },
            delimiter=";",
        )
    },
    (
        {
            "product_id": "j-m",
            "group_id": "j",
            "title": "Jacket",
            "label": "jackets",
            "category": "men",
            "brand": "alba",
            "colour": "blue",
            "price": 1129.0,
            "currency": "EUR",
            "status": "active",
            "pictures": ["files/j-m/image/jacket blue.jpg", "files/j-m/variation_image/b.jpg"],
        },
        {
            "product_id": "bag",
            "group_id": None,
            "title": "Tasche",
            "price": 59.0,
            "currency": "USD",
            "status": "draft",
            "pictures": ["files/bag/picture/b.png"],
        },
    ),
    (2, 2, 3),
)

_KAGGLE_HEADER = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"
_KAGGLE = Export(
    "kaggle-fashion",
    {
        "styles.csv": f"{_KAGGLE_HEADER}\n1,Men,Apparel,Topwear,Shirts,Blue,Fall,2011,NA,Shirt\n"
        "2,Women,Apparel,Topwear,Kurtas,NA,Summer,2012,Ethnic,Pink Kurta, Dupatta, and more\n".encode(),
        "images.csv": f"filename,link\n1.jpg,{CDN}/one.jpg\n2.jpg,undefined\n".encode(),
    },
    (
        {
            "product_id": "1",
            "label": "Shirts",
            "category": "Apparel",
            "colour": "Blue",
            "gender": "Men",
            "pictures": _pictures("one.jpg"),
        },
        {"product_id": "2", "title": "Pink Kurta, Dupatta, and more", "colour": None, "pictures": ["images/2.jpg"]},
    ),
    (2, 2, 2),
)

_KAGGLE_PICTURES = Export(
    "kaggle-pictures",
    {"images.csv": f"filename,link\n1.jpg,{CDN}/one.jpg\n2.jpg,undefined\n,undefined\n".encode()},
    (
        {"product_id": "1", "url": None, "pictures": _pictures("one.jpg")},
        {"product_id": "2", "url": None, "pictures": ["2.jpg"]},
        {"product_id": None, "pictures": []},
    ),
    (3, 3, 2),
)

_HM_HEADER = "article_id,product_code,prod_name,product_type_name,product_group_name,colour_group_name,index_group_name,detail_desc"
_HM = Export(
    "hm",
    {
        "articles.csv": table(
            _HM_HEADER,
            {
                "article_id": "0990001001",
                "product_code": "0990001",
                "prod_name": "Top",
                "product_type_name": "Vest top",
                "product_group_name": "Upper body",
                "colour_group_name": "Black",
                "index_group_name": "Ladieswear",
            },
            {"article_id": "990001002", "product_code": "0990001", "prod_name": "Top", "product_type_name": "Vest top"},
        )
    },
    (
        {
            "product_id": "0990001001",
            "group_id": "0990001",
            "title": "Top",
            "label": "Vest top",
            "colour": "Black",
            "category": "Upper body",
            "gender": "female",
            "pictures": ["images/099/0990001001.jpg"],
        },
        {"product_id": "0990001002", "group_id": "0990001", "pictures": ["images/099/0990001002.jpg"]},
    ),
    (1, 2, 2),
)

_LISTING = {
    "item_id": "B1",
    "main_image_id": "81x",
    "other_image_id": ["82y"],
    "domain_name": "amazon.com",
    "item_name": [{"language_tag": "de_DE", "value": "Stuhl"}, {"language_tag": "en_US", "value": "Chair"}],
    "brand": [{"language_tag": "en_US", "value": "Rivet"}],
    "color": [{"language_tag": "en_US", "value": "Grey"}],
    "product_type": [{"value": "DINING_CHAIR"}],
    "node": [{"node_name": "/Home/Furniture/Chairs"}],
}
_ABO = Export(
    "abo",
    {
        "listings_0.json.gz": gzip.compress(lines(_LISTING, {**_LISTING, "domain_name": "amazon.in"})),
        "images.csv.gz": gzip.compress(b"image_id,height,width,path\n81x,9,9,ab/81x.jpg\n82y,9,9,cd/82y.jpg\n"),
    },
    (
        {
            "product_id": "B1",
            "title": "Chair",
            "brand": "Rivet",
            "colour": "Grey",
            "label": "Dining chair",
            "category": "Home > Furniture > Chairs",
            "pictures": ["ab/81x.jpg", "cd/82y.jpg"],
        },
    ),
    (1, 1, 2),
    {"other marketplace rows": 1},
)

IN_SHOP = (
    "3\nimage_name item_id evaluation_status\nimg/WOMEN/Tees_Tanks/id_1/01_1_front.jpg   id_1 train\n"
    "img/MEN/Denim/id_2/01_1_front.jpg id_2    query\nimg/MEN/Denim/id_2/01_2_side.jpg id_2 gallery\n"
)
_IN_SHOP = Export(
    "in-shop",
    {"list_eval_partition.txt": IN_SHOP.encode()},
    (
        {
            "product_id": "img/WOMEN/Tees_Tanks/id_1/01_1_front",
            "label": "id_1",
            "group_id": "id_1",
            "split": "train",
            "category": "Tees Tanks",
            "gender": "female",
            "pictures": ["img/WOMEN/Tees_Tanks/id_1/01_1_front.jpg"],
        },
        {"label": "id_2", "split": "test", "pictures": ["img/MEN/Denim/id_2/01_1_front.jpg"]},
        {"label": "id_2", "split": "gallery-only", "pictures": ["img/MEN/Denim/id_2/01_2_side.jpg"]},
    ),
    (2, 3, 3),
)
_SOP = Export(
    "online-products",
    {
        "Ebay_test.txt": b"image_id class_id super_class_id path\n7 3 1 bicycle_final/11_0.JPG\n8 3 1 bicycle_final/11_1.JPG\n"
    },
    (
        {
            "product_id": "7",
            "label": "3",
            "group_id": "3",
            "split": "test",
            "category": "bicycle",
            "pictures": ["bicycle_final/11_0.JPG"],
        },
        {"product_id": "8"},
    ),
    (1, 2, 2),
)

_AGENT_ROW = {
    "item_id": "A1",
    "title": "Shoe",
    "url": "https://s/a",
    "image_url": f"{CDN}/a.jpg",
    "price": "89.00 USD",
    "brand": "Ada",
    "additional_image_urls": [f"{CDN}/b.jpg"],
    "availability": "in_stock",
    "group_id": "A",
    "product_category": "Shoes > Trainers",
    "variant_dict": {"color": "White", "size": "42"},
}
_AGENT = {
    "product_id": "A1",
    "group_id": "A",
    "label": "Trainers",
    "category": "Shoes",
    "price": 89.0,
    "currency": "USD",
    "colour": "White",
    "url": "https://s/a",
    "availability": "in stock",
    "pictures": _pictures("a.jpg", "b.jpg"),
}
_AGENT_CELLS = {
    **_AGENT_ROW,
    "additional_image_urls": f"{CDN}/b.jpg",
    "variant_dict": json.dumps(_AGENT_ROW["variant_dict"]),
}

EXPORTS: dict[str, Export] = {
    "shopify": Export("shopify", {"products_export.csv": table(SHOPIFY_HEADER, *SHOPIFY_ROWS)}, **_SHOPIFY),
    "shopify new": Export("shopify-template", {"products.csv": table(_NEW_HEADER, *_NEW_ROWS)}, **_SHOPIFY),
    "woocommerce": _WOO,
    "google text": Export(
        "google-merchant", {"g.tsv": table(GOOGLE_HEADER, *_OFFERS, delimiter="\t")}, _JACKETS, (2, 2, 4)
    ),
    "google xml": Export("google-merchant", {"g.xml": _GOOGLE_XML.encode()}, _JACKETS, (2, 2, 4)),
    "meta": Export(
        "meta",
        {"m.csv": b"# ref_application_id 123\n# comment, with commas\n" + table(_META_HEADER, _META_ROW)},
        (
            {
                "product_id": "M1",
                "title": "Lamp",
                "price": 59.5,
                "currency": "EUR",
                "stock": 14,
                "label": "lamps",
                "status": "archived",
                "pictures": _pictures("l.png", "m.png"),
            },
        ),
        (1, 1, 2),
    ),
    "meta categories": Export(
        "meta",
        {
            "m.csv": table(
                f"{_META_HEADER},google_product_category",
                {"id": "M1", "google_product_category": "212", "fb_product_category": "home > lamps"},
                {
                    "id": "M2",
                    "google_product_category": "166 - Clothing > Hats",
                    "fb_product_category": "clothes > caps",
                },
                {"id": "M3", "google_product_category": "212"},
            )
        },
        (
            {"product_id": "M1", "label": "lamps", "category": "home"},
            {"product_id": "M2", "label": "Hats", "category": "Clothing"},
            {"product_id": "M3", "label": None, "category": None},
        ),
        (3, 3, 0),
    ),
    "meta xml": Export("meta", {"m.xml": _META_XML.encode()}, (_META_LAMP,), (1, 1, 3)),
    "google atom": Export("google-merchant", {"g.xml": _ATOM.encode()}, _ATOM_MUGS, (2, 2, 3)),
    "bigcommerce": _BIG,
    "bigcommerce old": _OLD,
    "magento": _MAGENTO,
    "akeneo": _AKENEO,
    "kaggle": _KAGGLE,
    "kaggle pictures": _KAGGLE_PICTURES,
    "hm": _HM,
    "abo": _ABO,
    "in-shop": _IN_SHOP,
    "online products": _SOP,
    "agents": Export("agents", {"a.jsonl": lines(_AGENT_ROW)}, (_AGENT,), (1, 1, 2)),
    "agents csv": Export("agents", {"a.csv": table(",".join(_AGENT_CELLS), _AGENT_CELLS)}, (_AGENT,), (1, 1, 2)),
}
