"""Asks flagd's published provider in process: reads the file of a question, prints the variants as JSON.

Runs in an environment of its own, where the provider is installed and Wavegate is not.
"""

import json
import sys
from pathlib import Path

from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext


def main() -> None:
    question = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    definitions = Path(sys.argv[1]).with_suffix(".flagd.json")
    definitions.write_text(json.dumps(question["flagd"]), encoding="utf-8")
    provider = FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(definitions))
    provider.initialize(EvaluationContext())
    contexts = [EvaluationContext(key, attributes) for key, attributes in question["people"]]
    answers = {
        flag: [provider.resolve_string_details(flag, "", context).variant for context in contexts]
        for flag in question["flagd"]["flags"]
    }
    print(json.dumps(answers))
    provider.shutdown()


if __name__ == "__main__":
    main()
