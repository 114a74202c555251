"""The table of trials of `mmfusion tune`."""

import csv
import io


class TrialTable:
    """Trials as rows, the best one first.

    Args:
        objective: str, such as `"val_loss"`.
        space: The hyperparameters that are searched, with their names.
        from_start: bool. Whether each trial trains from its first epoch on; else
            those of Hyperband go on from the last epoch of an earlier one.
    """

    def __init__(self, objective, space, from_start):
        self.objective = objective
        self.searched = {h.name for h in space}
        self.from_start = from_start

    def in_order(self, oracle):
        """Trials, best first, of equals the older; those without a score last."""
        sign = -1 if oracle.objective.direction == "max" else 1

        def rank(trial):
            # As numbers: "9" comes before "10", and "1" before "02" of a longer search.
            number = int(trial.trial_id)
            return trial.status != "COMPLETED", sign * (trial.score or 0), number

        return sorted(oracle.trials.values(), key=rank)

    def csv(self, oracle):
        """All trials as the text of a CSV file."""
        rows = [self.row(trial) for trial in self.in_order(oracle)]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        # What a model is comes after how good it was.
        columns.sort(key=lambda name: name in self.searched)
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def line(self, trial):
        """One trial as a line of text."""
        score = _text(trial.score) if trial.status == "COMPLETED" else "failed"
        values = {k: v for k, v in self.row(trial).items() if k in self.searched}
        rest = " ".join(f"{name}={value}" for name, value in values.items())
        return f"{self.objective} {score} ({rest})"

    def row(self, trial):
        """One trial as a dict of texts."""
        values = trial.hyperparameters.values
        row = {"trial": trial.trial_id, "status": trial.status.lower()}
        if trial.status == "COMPLETED":
            row[self.objective] = _text(trial.score)
            done = 0 if self.from_start else values.get("tuner/initial_epoch", 0)
            row["best_epoch"] = str(done + trial.best_step + 1)
            for name in trial.metrics.metrics:
                row.setdefault(name, _text(trial.metrics.get_last_value(name)))
        searched = {k: _text(v) for k, v in values.items() if k in self.searched}
        return row | searched


def aligned(text):
    """The text of a CSV file as lines with aligned columns."""
    rows = list(csv.reader(text.splitlines()))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _text(value):
    return f"{value:.5g}" if isinstance(value, float) else str(value)
