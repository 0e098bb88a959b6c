"""The pages: every flag and its rollout, why it holds, and what its gates measured."""

from wavegate_controller.web.blueprint import make_web
from wavegate_controller.web.door import make_door

__all__ = ["make_door", "make_web"]
