"""MVBench: twenty kinds of multiple choice about short videos. K. Li et al., CVPR 2024.

The authors report the mean over the twenty kinds, and so does this.
"""

from .benchmark import Benchmark, Draft, choice_gold, lettered
from .row import Row

# Kind -> the folder of its clips, already cut to what is asked about.
FOLDERS = {
    "object_interaction": "star/Charades_segment",
    "action_sequence": "star/Charades_segment",
    "action_prediction": "star/Charades_segment",
    "action_localization": "sta/sta_video_segment",
    "moving_count": "clevrer/video_validation",
    "fine_grained_pose": "nturgbd_convert",
    "character_order": "perception/videos",
    "object_shuffle": "perception/videos",
    "egocentric_navigation": "vlnqa",
    "moving_direction": "clevrer/video_validation",
    "episodic_reasoning": "tvqa/video_fps3_hq_segment",
    "fine_grained_action": "Moments_in_Time_Raw/videos",
    "scene_transition": "scene_qa/video",
    "state_change": "perception/videos",
    "moving_attribute": "clevrer/video_validation",
    "action_antonym": "ssv2_video_mp4",
    "unexpected_action": "FunQA_test/test",
    "counterfactual_inference": "clevrer/video_validation",
    "object_existence": "clevrer/video_validation",
    "action_count": "perception/videos",
}


def _read(row: Row) -> Draft:
    kind, options = row.path.stem, row.texts("candidates")
    folder = FOLDERS.get(kind, "")
    video = row.text("video")
    return Draft(
        id=f"mvbench/{kind}/{row.number}",
        values={"question": row.text("question"), "options": lettered(options, "({}) {}")},
        media=(row.file(video, folders=(folder, f"video/{folder}", f"data0613/{folder}")),),
        gold=choice_gold(row.get("answer"), options),
        kind=kind,
        group=f"{folder}/{video}",
    )


MVBENCH = Benchmark(
    name="mvbench",
    title="MVBench",
    splits={"test": ("json/*.json",)},
    put=(
        "json/action_sequence.json ... and the unpacked videos (star/, clevrer/, ...) "
        "of revision `video` of huggingface.co/datasets/OpenGVLab/MVBench."
    ),
    read=_read,
    prompts={"": "Question: {question}\nOption:\n{options}\nOnly give the best option."},
    metric="mvbench",
    max_tokens=16,
    total="macro",
)
