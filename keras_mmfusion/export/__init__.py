"""Models as files that run without Keras: written, then compared with the model.

report = export.export_preset("atd_mitbih", "atd_mitbih.onnx", format="onnx")
model = export.ExportedModel("atd_mitbih.onnx")
"""

from keras_mmfusion._export_formats import ExportError
from keras_mmfusion.export._export import export_model, export_preset
from keras_mmfusion.export._exported_model import ExportedModel

__all__ = ["ExportError", "ExportedModel", "export_model", "export_preset"]
