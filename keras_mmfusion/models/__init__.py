"""Models with one named input a modality."""

from keras_mmfusion.models.beat_classifier import BeatClassifier as BeatClassifier
from keras_mmfusion.models.beat_consensus import BeatConsensus as BeatConsensus
from keras_mmfusion.models.beat_ensemble import BeatEnsemble as BeatEnsemble
from keras_mmfusion.models.fusion_autoencoder import (
    FusionAutoencoder as FusionAutoencoder,
)
from keras_mmfusion.models.fusion_classifier import FusionClassifier as FusionClassifier
from keras_mmfusion.models.fusion_forecaster import FusionForecaster as FusionForecaster
from keras_mmfusion.models.fusion_retriever import FusionRetriever as FusionRetriever
from keras_mmfusion.models.fusions import FUSIONS as FUSIONS
from keras_mmfusion.models.fusions import get_fusion as get_fusion
from keras_mmfusion.models.mcwsa import mcwsa as mcwsa
from keras_mmfusion.models.paper_retriever import paper_retriever as paper_retriever
from keras_mmfusion.models.retrieval_index import Found as Found
from keras_mmfusion.models.retrieval_index import RetrievalIndex as RetrievalIndex
