"""Looking at what models say, attend to and have learnt: numbers and pictures."""

from keras_mmfusion.analysis.attention_map import attention_map as attention_map
from keras_mmfusion.analysis.beat_comparison import Comparison as Comparison
from keras_mmfusion.analysis.beat_comparison import compare as compare
from keras_mmfusion.analysis.beat_comparison import pool as pool
from keras_mmfusion.analysis.beat_labels import BeatLabels as BeatLabels
from keras_mmfusion.analysis.beat_plot import plot_beats as plot_beats
from keras_mmfusion.analysis.confusion_matrix import plot_confusion as plot_confusion
from keras_mmfusion.analysis.contact_sheet import contact_sheet as contact_sheet
from keras_mmfusion.analysis.deep_cca import DeepCorrelation as DeepCorrelation
from keras_mmfusion.analysis.deep_cca import deep_correlation as deep_correlation
from keras_mmfusion.analysis.digit_plot import class_values as class_values
from keras_mmfusion.analysis.digit_plot import plot_digits as plot_digits
from keras_mmfusion.analysis.estimate_plot import plot_estimates as plot_estimates
from keras_mmfusion.analysis.forecast import Forecast as Forecast
from keras_mmfusion.analysis.forecast import plot_forecast as plot_forecast
from keras_mmfusion.analysis.mutual_information import (
    MutualInformation as MutualInformation,
)
from keras_mmfusion.analysis.mutual_information import (
    mutual_information as mutual_information,
)
from keras_mmfusion.analysis.robustness import RobustnessCurves as RobustnessCurves
from keras_mmfusion.analysis.robustness import robustness_curves as robustness_curves
from keras_mmfusion.analysis.robustness_plot import plot_robustness as plot_robustness
from keras_mmfusion.analysis.t_sne import plot_t_sne as plot_t_sne
