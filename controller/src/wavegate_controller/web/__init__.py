"""The pages: every flag and its rollout, why it holds, and what its gates measured."""

from wavegate_controller.web.door import make_door
from wavegate_controller.web.views import make_web

__all__ = ["make_door", "make_web"]
