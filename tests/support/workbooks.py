"""Excel workbooks as Twinset writes them, one of them with a cell that is far out."""

from __future__ import annotations

import io
import zipfile

from backend.files.workbook import as_workbook


def workbook(rows: list[list[object]], *, far: str = "") -> bytes:
    """Return a workbook with one sheet of these rows; ``far`` is a further cell with a value."""
    data = as_workbook(rows)
    if not far:
        return data
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            text = before.read(name).decode()
            after.writestr(name, text.replace("</sheetData>", f'<row><c r="{far}"><v>1</v></c></row></sheetData>'))
    return changed.getvalue()
