"""Plans that an environment keeps by name."""

from collections.abc import Sequence

from wavegate_controller.documents import TemplateDocument, template_to_document
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.catalog import Template
from wavegate_controller.domain.errors import Invalid, NotFound, StaleVersion
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.auditing import note
from wavegate_controller.service.services import Services


def save_template(
    services: Services,
    name: str,
    document: TemplateDocument,
    *,
    by: Principal,
    comment: str = "",
    expected_version: int | None = None,
) -> Template:
    """A new template, or the next version of one: those before it stay, and so do the rollouts made from them.

    Args:
        services: the world.
        name: of the template.
        document: its plan.
        by: who asks, and signs.
        comment: the person's reason.
        expected_version: the version that was read, 0 for none; None to write over whatever there is.

    Raises:
        Invalid: a field is wrong.
        StaleVersion: there is another version than the expected one.
    """
    by.require(Permission.EDIT, services.environment)
    plan, now = document.plan_to_domain(), services.clock.now()
    with services.store.transaction() as work:
        newest = _newest(work, services.environment, name)
        version = newest.version if newest else 0
        if expected_version is not None and expected_version != version:
            raise StaleVersion("template", name, current=version)
        template = Template(
            name=name,
            environment=services.environment,
            version=version + 1,
            plan=plan,
            created_by=by.name,
            created_at=now,
            description=document.description,
        )
        work.templates.add(template)
        note(
            work,
            by=by,
            action="template.save",
            subject=name,
            environment=services.environment,
            now=now,
            before=None if newest is None else template_to_document(newest),
            after=template_to_document(template),
            reason=comment.strip(),
        )
    return template


def list_templates(services: Services, *, by: Principal) -> Sequence[Template]:
    """The newest version of each, by name."""
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        return work.templates.list(services.environment)


def get_template(services: Services, reference: str, *, by: Principal) -> Template:
    """One by its name, or one version of it such as `careful@3`.

    Raises:
        NotFound: there is no such template.
    """
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        return find_template(work, services.environment, reference)


def find_template(work: UnitOfWork, environment: str, reference: str) -> Template:
    """As `get_template`, within a transaction.

    Raises:
        Invalid: the version is no number.
        NotFound: there is no such template.
    """
    name, at, version = reference.partition("@")
    if at and not (version.isascii() and version.isdigit() and len(version) < 10):  # noqa: PLR2004 - what a column holds
        raise Invalid("template", f"{reference!r} has no version behind the @", "a name, or one such as careful@3")
    return work.templates.get(environment, name, int(version) if at else None)


def _newest(work: UnitOfWork, environment: str, name: str) -> Template | None:
    try:
        return work.templates.get(environment, name)
    except NotFound:
        return None
