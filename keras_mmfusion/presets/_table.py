"""A list of rows that prints as an aligned table."""

from keras_mmfusion.presets._metadata import format_bytes, format_metric


class Table(list):
    """Rows of `presets.list`: a list of dicts, printed with aligned columns."""

    def __repr__(self):
        if not self:
            return "No presets."
        head = ("name", "version", "task", "modalities", "parameters", "size", "metric")
        lines = [head, *map(_cells, self)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if title in ("parameters", "size") else
                cell.ljust(width)
                for title, cell, width in zip(head, line, widths, strict=True)
            ).rstrip()
            for line in lines
        )  # fmt: skip

    __str__ = __repr__


def _cells(row):
    if row["metric"] is not None:
        metric = f"{row['metric']} {format_metric(row['value'], row['sd'])}"
    else:
        metric = "" if row["trained"] else "no trained weights"
    return (
        row["name"],
        row["version"],
        row["task"] or "",
        ", ".join(row["modalities"]),
        f"{row['parameters']:,}",
        format_bytes(row["bytes"]),
        metric,
    )
