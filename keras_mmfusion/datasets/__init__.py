"""Readers of original data releases. None of them needs a deep-learning backend."""

from keras_mmfusion.datasets.ecg_csv import read_csv as read_csv
from keras_mmfusion.datasets.ecg_record import ECGRecord as ECGRecord
from keras_mmfusion.datasets.ecg_record import RecordError as RecordError
from keras_mmfusion.datasets.ecg_record import read_beats as read_beats
from keras_mmfusion.datasets.ecg_record import read_wfdb as read_wfdb
