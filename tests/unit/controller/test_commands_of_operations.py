"""Whatever the API can do, the command line can."""

import click

from wavegate_controller import cli
from wavegate_controller.api.blueprint import OPERATIONS

#: Operations that no person asks for by themselves, and why.
EXEMPT = {
    "healthz": "for load balancers",
    "readyz": "for load balancers",
    "show_openapi": "for programs that make clients",
    "report_alerts": "for Alertmanager",
    "show_channel": "`notify list` shows all of each",
    "show_delivery": "`notify deliveries` shows all of each",
    "show_me": "for scripts; `login` says it",
}
#: Operations whose command has other words than theirs.
COMMANDS = {
    "list_stale_flags": "flag stale",
    "begin_drill": "drill",
    "look_at_drill": "drill",
    "abort_drill": "drill",
    "show_portfolio": "stage portfolio",
    "show_passport": "stage show",
    "show_stage_document": "stage document",
    "write_discovery": "stage write",
    "write_proof_of_concept": "stage write",
    "write_pilot": "stage write",
    "write_readiness": "stage write",
    "decide_stage": "stage go",
    "acknowledge_item": "stage acknowledge",
    "leave_pilot": "stage leave",
    "show_rollout": "rollout status",
    "list_decisions": "rollout history",
    "show_freeze_windows": "freeze show",
    "save_freeze_windows": "freeze set",
    "explain": "explain",
    "log_in": "login",
    "begin_device_login": "login",
    "finish_device_login": "login",
    "set_roles": "user roles",
    "invite_user": "user link",
    "follow_audit": "audit export",
    "list_audit": "audit list",
    "show_audit": "audit show",
    "follow_events": "events",
    "list_channels": "notify list",
    "add_channel": "notify add",
    "remove_channel": "notify remove",
    "test_channel": "notify test",
    "list_deliveries": "notify deliveries",
    "retry_delivery": "notify retry",
    "plan_configuration": "plan",
    "apply_configuration": "apply",
    "export_configuration": "export",
    "list_presets": "gate presets",
    "list_delivered_revisions": "delivery list",
    "list_clients": "delivery clients",
    "change_environment": "environment set",
    "show_status": "status",
    "calibrate_rollout": "aa report",
}


def commands():
    """Every command, in words."""
    for name in cli.COMMANDS:
        command = cli.find(name)
        yield name
        if isinstance(command, click.Group):
            yield from (f"{name} {each}" for each in command.commands)


def in_words(name):
    """`roll_back_rollout` is `rollout roll-back` unless the table says otherwise."""
    verb, _, thing = name.rpartition("_")
    return COMMANDS.get(name, f"{thing.removesuffix('s')} {verb.replace('_', '-')}")


def test_each_operation_has_a_command_or_a_reason_to_have_none():
    operations = {operation.name for part in OPERATIONS for operation in part.all if operation.is_listed}
    known = set(commands())

    without = {name for name in operations - set(EXEMPT) if in_words(name) not in known}

    assert without == set()
    assert set(EXEMPT) | set(COMMANDS) <= operations
