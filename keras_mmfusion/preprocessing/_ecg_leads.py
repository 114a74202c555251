"""Which leads of a recording a model of heart beats takes, by their names."""

import re

from keras_mmfusion.preprocessing._interruptions import silent

# Leads tried in this order when none is named: the limb lead in which R peaks
# stand up, then the chest leads in which P waves and bundle branches show.
LEAD_ORDER = ("mlii", "ii", "v1", "mcl1", "v5", "v2", "v4", "i", "iii")
# In training the first lead was a limb lead, and a chest lead the second. V alone is
# that of a monitor.
_CHEST = re.compile(r"(m?v|mcl)\d|v")
# What names have around that of the lead: "ECG I", "Lead II", "MDC_ECG_LEAD_V1".
_AROUND = re.compile(r"mdc|ecg|ekg|lead|[\W_]")
# Monitors record breath, pressures and more beside the ECG; also in sleep.
_NO_LEAD = re.compile(
    r"resp|impedance|pleth|ppg|pulse|hr$|s[pa]?o2|(et)?co2|[ain]?bp|art|cvp|pap|icp"
    r"|eeg|eog|emg|temp|acc"
)


def lead_rank(name):
    """Where a lead stands among those to take: the lower, the sooner."""
    name = _bare(name)
    if name in LEAD_ORDER:
        return LEAD_ORDER.index(name)
    return len(LEAD_ORDER) + (not is_lead(name))


def usual_leads(record, count, causal):
    """Columns of the leads to take where none is named, the best first."""
    ranks = [lead_rank(name) for name in record.leads]
    columns = sorted(range(len(ranks)), key=ranks.__getitem__)
    # Breath or pressure beside a lead would be taken for another lead.
    columns = [i for i in columns if is_lead(record.leads[i])] or columns
    # The past does not tell which electrodes will hold.
    if len(columns) > count and not causal:
        none = silent(record.signals, record.fs)
        columns = [i for i in columns if not none[i]] or columns
    return columns[:count]


def is_chest(name):
    """Whether this is the name of a chest lead."""
    return bool(_CHEST.fullmatch(_bare(name)))


def is_lead(name):
    """False for names of other signals that are recorded beside an ECG."""
    return not _NO_LEAD.match(_bare(name))


def _bare(name):
    return _AROUND.sub("", name.lower())
