"""How right an answer is, under named profiles. `METRICS` has every metric by its name."""

from .anls import ANLS, anls
from .answer import ANSWER
from .chartqapro import CHARTQAPRO
from .edits import EDIT_SIMILARITY, character_error_rate, edit_distance, normalize
from .exact_match import EXACT_MATCH, exact_match
from .f1 import F1
from .grade import Gold, Grade, Metric, Outcome, Profile, mean, outcomes
from .long_document import LONG_DOCUMENT, generalized_f1
from .multiple_choice import (
    AI2D,
    CHOICE,
    EGOSCHEMA,
    LONGVIDEOBENCH,
    MLVU,
    MMMU,
    MVBENCH,
    VIDEO_MME,
    VIDEO_MME_V2,
)
from .ocrbench import OCRBENCH
from .ocrbench_v2 import OCRBENCH_V2, ocrbench_v2_totals
from .open_answer import OPEN_ANSWER
from .relaxed_accuracy import RELAXED_ACCURACY
from .tempcompass import CAPTIONS, TEMPCOMPASS
from .totals import logic_score, macro_mean, relevance_score
from .vqa_accuracy import VQA_ACCURACY
from .yes_no import YES_NO

METRICS = {
    "ai2d": AI2D,
    "anls": ANLS,
    "answer": ANSWER,
    "chartqapro": CHARTQAPRO,
    "choice": CHOICE,
    "edit_similarity": EDIT_SIMILARITY,
    "egoschema": EGOSCHEMA,
    "exact_match": EXACT_MATCH,
    "f1": F1,
    "longvideobench": LONGVIDEOBENCH,
    "mlvu": MLVU,
    "mmlongbench_doc": LONG_DOCUMENT,
    "mmmu": MMMU,
    "mmmu_open": OPEN_ANSWER,
    "mvbench": MVBENCH,
    "ocrbench": OCRBENCH,
    "ocrbench_v2": OCRBENCH_V2,
    "relaxed_accuracy": RELAXED_ACCURACY,
    "tempcompass": TEMPCOMPASS,
    "tempcompass_captions": CAPTIONS,
    "video_mme": VIDEO_MME,
    "video_mme_v2": VIDEO_MME_V2,
    "vqa_accuracy": VQA_ACCURACY,
    "yes_no": YES_NO,
}

__all__ = [
    "METRICS",
    "Gold",
    "Grade",
    "Metric",
    "Outcome",
    "Profile",
    "anls",
    "character_error_rate",
    "edit_distance",
    "exact_match",
    "generalized_f1",
    "logic_score",
    "macro_mean",
    "mean",
    "normalize",
    "ocrbench_v2_totals",
    "outcomes",
    "relevance_score",
]
