"""``graftlm templates check --model M``."""

from __future__ import annotations

import json
from dataclasses import asdict

import click


@click.command()
@click.option("--model", required=True, metavar="M", help="The model whose own chat template is the judge.")
@click.option(
    "--template", "name", default="", metavar="NAME", help="Compare this one alone, and show each difference."
)
@click.option("--revision", default="", metavar="REV", help="Revision of a hub model.")
@click.option("--offline", is_flag=True, help="Use only what is on this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(model: str, name: str, revision: str, offline: bool, as_json: bool) -> None:
    """Compare templates with a model's own chat template on a corpus of conversations.

    A template fits where a model that is asked sees the same text; the releases of a model's own template differ in
    what follows the last answer, and in odd white space, which does not weigh. Exit code 2 where the template that
    'train' would take, or --template, does not fit.
    """
    from graftlm.chat_templates.binding import bound
    from graftlm.chat_templates.comparison import Comparison, compare
    from graftlm.chat_templates.own import OwnTemplate
    from graftlm.cli.tables import table
    from graftlm.contracts.errors import GraftlmError, ModelError
    from graftlm.contracts.specs import PromptTemplate
    from graftlm.planning import base_model
    from graftlm.planning.prompting import choose_template, kept_own_texts
    from graftlm.planning.tokens import missing_tokens
    from graftlm_registry.plugins import registry

    _, description = base_model.describe(base_model.request(model, revision, offline), registry())
    own = OwnTemplate.from_folder(description.folder, description.name)
    if not own.chat_template:
        raise ModelError(f"{description.name} has no chat template of its own, so there is nothing to compare with")
    texts = kept_own_texts(own)
    family = base_model.family_of(description, "auto", registry())
    chosen = choose_template(name or "auto", True, family, description, registry()).template
    found: dict[str, Comparison | str] = {}
    for spec in [registry().get(PromptTemplate, name)] if name else registry().all(PromptTemplate):
        try:
            template = bound(spec, own)
            lacking = missing_tokens(template, description.folder)
            found[spec.name] = lacking[0] if lacking else compare(template, texts)
        except GraftlmError as error:
            found[spec.name] = str(error)
    own.close()
    fits = {n: isinstance(c, Comparison) and bool(c.compared) and not c.mismatches for n, c in found.items()}
    if as_json:
        described = {n: c if isinstance(c, str) else asdict(c) for n, c in found.items()}
        click.echo(json.dumps({"model": model, "chosen": chosen.name, "fits": fits, "templates": described}, indent=2))
    else:
        rows = [(("→ " if n == chosen.name else "  ") + n, *_verdict(c)) for n, c in found.items()]
        click.echo(table(rows, ("  template", "fits", "the same", "first difference")))
        comparison = found[chosen.name]
        if isinstance(comparison, Comparison):
            for difference in comparison.differences if name else comparison.mismatches[:1]:
                click.echo(f"\n{difference}")
    if not fits[chosen.name]:
        raise click.exceptions.Exit(2)


def _verdict(comparison: object) -> tuple[str, str, str]:
    from graftlm.chat_templates.comparison import Comparison

    if not isinstance(comparison, Comparison):
        return "no", "-", str(comparison).partition(":")[0]
    equal = comparison.compared - len(comparison.differences)
    first = (comparison.mismatches or comparison.differences)[:1]
    fits = "no" if comparison.mismatches else "yes"
    return fits, f"{equal} of {comparison.compared}", first[0].case if first else ""
