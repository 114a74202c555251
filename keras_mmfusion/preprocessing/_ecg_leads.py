"""Which leads of a recording a model of heart beats takes, by their names."""

import re

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


def is_chest(name):
    """Whether this is the name of a chest lead."""
    return bool(_CHEST.fullmatch(_bare(name)))


def is_lead(name):
    """False for names of other signals that are recorded beside an ECG."""
    return not _NO_LEAD.match(_bare(name))


def _bare(name):
    return _AROUND.sub("", name.lower())
