"""Renders chat templates as transformers does, for `test/fixtures/chat-templates/golden.json`.

Run it from the repository's root with transformers 5 and jinja2 3.1.6 installed:

    python test/parity/make_chat_goldens.py

The templates are written for this test; each shows what templates of a kind do. The date stands still at what the engine
tells templates (`strftime_now`).
"""

import datetime
import json
from pathlib import Path

from transformers.utils import chat_template_utils

from chat_templates import TEMPLATES

DAY = datetime.datetime(2024, 7, 26)
OUT = Path("test/fixtures/chat-templates/golden.json")
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return DAY


def turn(role, content):
    return {"role": role, "content": content}


CONVERSATIONS = {
    "user": [turn("user", "How large is the pot?")],
    "system": [turn("system", "You work for a shop."), turn("user", " Blue \n enamel? ")],
    "shots": [
        turn("system", "Be short."),
        turn("user", "One & two"),
        turn("assistant", "<think>\nhm\n</think>\n\n\"Three\" 'é'"),
        turn("user", "Vier\tfünf"),
        turn("assistant", "Six"),
        turn("user", "seven"),
    ],
    "answered": [turn("user", "Hi"), turn("assistant", "Hello\\ there")],
    "pair": [turn("user", "a=b=c, d"), turn("assistant", "x  y z"), turn("user", "50 % of it")],
}


def rendered(template, messages, add_generation_prompt):
    compiled = chat_template_utils._compile_jinja_template(template)
    try:
        return compiled.render(
            messages=messages,
            tools=None,
            documents=None,
            add_generation_prompt=add_generation_prompt,
            **SPECIAL,
        )
    except Exception as error:  # The template's own refusal, or what Python says of a mistake in it.
        return {"refused": str(error)}


def main():
    chat_template_utils.datetime = Clock
    rows = []
    for name, template in TEMPLATES.items():
        for conversation, messages in CONVERSATIONS.items():
            for opened in (True, False):
                rows.append(
                    {
                        "template": name,
                        "conversation": conversation,
                        "open": opened,
                        "text": rendered(template, messages, opened),
                    }
                )
    golden = {"special": SPECIAL, "templates": TEMPLATES, "conversations": CONVERSATIONS, "rows": rows}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


main()
