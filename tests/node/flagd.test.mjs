// flagd's JavaScript core, as npm has it, and the definitions that we export for it: the same people in the same arms.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

import { FlagdCore } from '@openfeature/flagd-core';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const script = new URL(`file://${process.env.WAVEGATE_SERVER}`).pathname.replace('server.py', 'agreement.py');
const made = execFileSync(process.env.WAVEGATE_PYTHON, [script], { maxBuffer: 1 << 28 });
const { definitions, people, answers } = JSON.parse(made);
const core = new FlagdCore(undefined, quiet);
core.setConfigurations(JSON.stringify(definitions));

for (const [flag, expected] of Object.entries(answers)) {
  test(`agrees about ${flag}`, () => {
    const found = people.map(
      ([targetingKey, attributes]) =>
        core.resolveStringEvaluation(flag, '', { ...attributes, targetingKey }, quiet).variant,
    );
    assert.deepEqual(found, expected);
  });
}
