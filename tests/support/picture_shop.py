"""A shop on the web with a feed and its pictures, for jobs in processes of their own, and the worker that knows its network.

``python -m tests.support.picture_shop PORT JOB_ID`` is the real worker, in whose network every name is this shop.
"""

from __future__ import annotations

import sys
import time
import zlib
from typing import TYPE_CHECKING

from tests.support.picture_host import HOST, PictureHost, network_to, picture

if TYPE_CHECKING:
    from pathlib import Path

FEED = f"http://{HOST}/shop/feed.csv"
PRODUCTS, FURTHER = 48, 120
_TAKES_S = 0.01  # a picture, so that jobs are killed on the way


def seed_of(target: str) -> int:
    """Return which picture is at an address, by its path and query."""
    return zlib.crc32(target.encode()) % 5000


def feed(version: int) -> bytes:
    """Return the feed: in its second version prices and a picture are others, a product is gone and another there."""
    rows = ["id,title,product_type,image_link,additional_image_link,price"]
    for number in range(version - 1, PRODUCTS + version - 1):
        changed = version if number % 8 == 3 else 1
        price = f"{9 + (version if number % 4 == 1 else 0)}.90 EUR"
        views = f"../p.jpg?p={number}&v={changed},../p.jpg?p={number}&v=1&view=2"
        rows.append(f"p{number:03d},Thing {number},{'bag' if number % 2 else 'hat'},{views},{price}")
    return "\n".join(rows).encode()


def serve(host: PictureHost) -> None:
    """Have a server be the shop, with the first version of its feed; :func:`change` has it be at another."""

    def one(asked) -> None:  # type: ignore[no-untyped-def]
        time.sleep(_TAKES_S)
        sign = f'"{seed_of(asked.path)}"'
        if asked.headers.get("If-None-Match") == sign:
            asked.say(304, ETag=sign)
        else:
            asked.say(200, picture(seed=seed_of(asked.path)), ETag=sign)

    host.more["/p.jpg"] = one
    change(host, 1)


def change(host: PictureHost, version: int) -> None:
    """Have the shop serve a version of its feed."""
    data, sign = feed(version), f'"feed-{version}"'
    host.more["/shop/feed.csv"] = lambda asked: (
        asked.say(304, ETag=sign)
        if asked.headers.get("If-None-Match") == sign
        else asked.say(200, data, "text/csv", ETag=sign)
    )


def table(path: Path) -> Path:
    """Write a table that names further pictures of the shop by their whole addresses."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (f"f{number},Thing {number},http://{HOST}/p.jpg?more={number}" for number in range(FURTHER))
    path.write_text("\n".join(["id,title,image_link", *rows]), "utf-8")
    return path


def worker(host: PictureHost) -> tuple[str, ...]:
    """Return the command of a worker in whose network the shop is."""
    return (sys.executable, "-m", "tests.support.picture_shop", str(host.port))


if __name__ == "__main__":
    from backend.flow.current import fetch
    from backend.worker import main

    shop = network_to(int(sys.argv[1]))
    fetch.network = lambda: shop
    sys.exit(main(sys.argv[2]))
