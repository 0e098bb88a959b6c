"""The OpenFeature client by itself: a provider with one answer, made beforehand."""

from collections.abc import Sequence

from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata
from workload import Flag

ANSWER = FlagResolutionDetails(False, variant="off", reason=Reason.SPLIT)


class Constant(AbstractProvider):
    def get_metadata(self):
        return Metadata("constant")

    def resolve_boolean_details(self, flag_key, default_value, evaluation_context=None):
        return ANSWER

    resolve_string_details = resolve_integer_details = resolve_float_details = resolve_object_details = None


class Contestant:
    def document(self, _flags: Sequence[Flag]) -> None:
        return None

    def load(self, _document: None) -> None:
        pass

    def provider(self):
        return Constant()
