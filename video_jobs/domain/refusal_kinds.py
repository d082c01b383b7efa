"""Find the cause of a refusal: the content, the account, or something else. Code and words show it; each API has its
own. Pure.

The job's prompt is removed from the words first: many APIs repeat it, and it may contain any word.
"""

from __future__ import annotations

import re

_LONGEST = 4000  # characters that are searched
_SHORTEST_REPEATED = 40  # characters of a prompt by which it is recognised

# Every repetition in a pattern has a bound, so that no text makes it slow. They are compiled at the first refusal: most
# apps that start see none.
_MODERATION = (
    r"moderat(?:ion|ed|or)"
    r"|content[\s_-]?(?:policy|filter|check|safety|moderat|violation)"
    r"|responsible[\s_-]?ai"
    r"|safety[\s_-]{1,2}(?:system|filter|polic|check|reason|guideline|violation|block|settings? blocked)"
    r"|guardrail"
    r"|sensitive[\s_-]?(?:content|information|words?|material|topic|text|image|data|prompt)"
    r"|polic(?:y|ies)[\s_-]?violation"
    r"|violat\w{0,5}[\s_-]{1,2}(?:[\w'’,-]{1,20}\s{1,2}){0,5}(?:polic|guideline|terms|rules|safety|copyright|standards)"
    r"|usage[\s_-]{1,2}(?:guideline|polic)"
    r"|community[\s_-]{1,2}(?:guideline|standard)"
    r"|inappropriate"
    r"|data[\s_-]?inspection"
    r"|risk[\s_-]?control"
    r"|(?:content|prompt|material|input|image|request|output|video|text)s?\b.{0,40}\bflagged"
    r"|flagged\b.{0,40}(?:content|safety|moderation|polic|check|inappropriate)"
    r"|nsfw|prohibited[\s_-]?content|unsafe[\s_-]?(?:content|prompt|image)|harmful[\s_-]?content"
    r"|copyright|intellectual property|public figure|real people|likeness"
)
_WRONG_KEY = (
    r"\bapi[\s_-]?key (?:is )?(?:not valid|invalid|expired|not found)|\b(?:invalid|expired) api[\s_-]?key"
)
_ABOUT_ACCOUNT = (
    r"\b(?:account|organi[sz]ation|project|api[\s_-]?key)\b.{0,30}"
    r"\b(?:deactivat|suspend|disabl|terminat|banned|restrict|revoked|closed)"
    r"|\b(?:deactivat|suspend|disabl|terminat|banned|revoked|closed)\w{0,5}\b.{0,30}"
    r"\b(?:account|organi[sz]ation|project|api[\s_-]?key)\b"
)
_RATE = r"rate[\s_-]?limit|too[\s_-]?many|concurren|per[\s_-]?(?:second|minute|hour|day)|\b[rt]p[md]\b"
_MONEY = (
    r"billing|arrear"
    r"|余额不足|额度不足|额度已用|欠费|账户余额|余额已"
    r"|insufficient[\s_-]{0,2}(?:\w{1,20}[\s_-]{1,2}){0,3}(?:balance|credit|fund|money|token)"
    r"|(?:balance|credits?|funds?)\b.{0,30}(?:insufficient|not enough|too low|exhausted|depleted|used up|run out|ran out)"
    r"|(?:not (?:have )?enough|out of|no|lack(?:s|ing)?)\s{1,2}(?:\w{1,20}\s{1,2}){0,3}(?:credits?|balance|funds?|money)\b"
    r"|payment[\s_-]?required|top[\s-]?up|recharge|overdue"
)
_QUOTA = (
    r"(?:spend|spending|usage|hard|credit|billing|monthly)[\s_-]?(?:limit|cap)\b"
    r"|(?<!token )(?:quota|budget)s?(?![a-z]).{0,40}(?:exceeded|exhausted|reached|used up|depleted|insufficient|not enough|zero|over)\b"
    r"|(?:exceeded|exhausted|insufficient|reached|no|crossed)[\s_-]{0,2}(?:\w{1,20}[\s_-]{1,2}){0,4}(?<!token )(?:quota|budget)s?(?![a-z])"
)
_PASSES = r"(?:retry|again)\b.{0,20}\b(?:in|after)\s{0,2}[0-9]"
_ADDRESS = r"https?://\S{1,500}"


def is_wrong_key(status: int | None, message: str | None) -> bool:
    """Whether a 400 is about the app's key: Google answers so to a wrong or expired key."""
    return status == 400 and re.search(_WRONG_KEY, (message or "")[:_LONGEST].lower()) is not None


def is_moderation(code: str | None, message: str | None, prompt: str = "", status: int | None = None) -> bool:
    """Whether the content was refused: final for this job, and without effect on others.

    `status`: the refusal's HTTP status, if any. A 401 or 404 is about the key or the address; an account that was closed
    because of its content affects every job.
    """
    if status in (401, 402, 404):
        return False
    said = _said(code, message, prompt)
    return re.search(_MODERATION, said) is not None and re.search(_ABOUT_ACCOUNT, said) is None


def is_account(status: int | None, code: str | None, message: str | None, prompt: str = "") -> bool:
    """Whether the account behind the key has no money or quota left: nothing is wrong with the job."""
    if status == 402:
        return True
    if status not in (400, 403, 422, 429) or is_moderation(code, message, prompt, status):
        return False
    said = _said(code, message, prompt)
    return _is_empty_account_at_429(code, said) if status == 429 else _is_about_money(said)


def is_surely_account(status: int | None, code: str | None) -> bool:
    """Whether the refusal shows by its code or status, not only by words, that the account is meant."""
    return status == 402 or _is_about_money(_said(code, None, ""))


def _is_about_money(said: str) -> bool:
    return (re.search(_MONEY, said) or re.search(_QUOTA, said)) is not None


def _is_empty_account_at_429(code: str | None, said: str) -> bool:
    """Only the code tells of a quota: in words, many APIs call their limit of requests per minute one. Words tell of
    money, unless they also tell when to try again. Addresses of help pages tell nothing."""
    code_said, said = _said(code, None, ""), re.sub(_ADDRESS, " ", said)
    if _is_about_money(code_said) and not re.search(_RATE, code_said):
        return True
    return re.search(_MONEY, said) is not None and not (re.search(_RATE, said) or re.search(_PASSES, said))


def _said(code: str | None, message: str | None, prompt: str) -> str:
    text = " ".join((message or "").split())
    ours = " ".join(prompt.split())
    if ours and (at := text.find(ours[:_SHORTEST_REPEATED])) >= 0:  # it may have been cut off
        text = f"{text[:at]} {text[at + len(ours) :]}"
    # From camel case, so that one spelling of each word is enough.
    words = re.sub(r"([a-z])([A-Z])", r"\1 \2", f"{code or ''} {text[:_LONGEST]}")
    return words.lower()
