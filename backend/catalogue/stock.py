"""What a product's stock and availability say: that it is sold out, that it is in stock, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from backend.catalogue.fields import Details

STOCK_COLUMNS = ("stock", "availability")
SOLD_OUT = "out of stock"


def sold_out(rows: pa.Table) -> NDArray[np.bool_]:
    """Return which of N rows with ``STOCK_COLUMNS`` are known to be out of stock, bool (N,); what is not known is not."""
    return _known(pc.less_equal(rows["stock"], 0)) | _known(pc.equal(rows["availability"], SOLD_OUT))


def is_sold_out(product: Details) -> bool:
    """Tell whether a product is known to be out of stock."""
    return (product.stock is not None and product.stock <= 0) or product.availability == SOLD_OUT


def in_stock(rows: pa.Table) -> NDArray[np.bool_]:
    """Return which are known to be in stock, bool (N,): by number, or by availability where there is no number."""
    stated = pc.if_else(pc.is_null(rows["stock"]), pc.equal(rows["availability"], "in stock"), True)
    return _known(stated) & ~sold_out(rows)


def _known(told: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(told, fill_value=False), dtype=np.bool_)
