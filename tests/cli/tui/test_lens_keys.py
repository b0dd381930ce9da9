"""Token Lens: what else the model might have said, and going on from there."""

from tests.cli.tui.desk import Desk
from tests.cli.tui.harness import played, version
from tissu_cli.sessions.conversation import Turn
from tissu_core.config.decoding import DecodingConfig
from tissu_core.events.replies import TokenGenerated

WORDS = ("one ", "two ", "three ", "four ", "five")


@played
async def test_the_lens_shows_each_token_and_its_alternatives(desk: Desk) -> None:
    desk.has(WORDS)
    async with desk.open() as chat:
        await chat.press("f3")
        await chat.told("there is no reply yet")
        await chat.ask("count")
        await chat.press("f3")
        await chat.until(lambda: chat.shows("token 1 of 5  one·  id 0  p 60.7%  entropy 1.00 bits"))
        assert chat.shows("▸ one·") and chat.shows("said")
        await chat.press("right", "right")
        await chat.until(lambda: chat.shows("token 3 of 5  three·"))
        await chat.press("left", "end")
        await chat.until(lambda: chat.shows("token 5 of 5  five"))
        await chat.press("right", "home")
        await chat.until(lambda: chat.shows("token 1 of 5"))
        await chat.press("escape")
        await chat.until(lambda: not chat.shows("token 1 of 5") and chat.app.chat.prompt.has_focus)


@played
async def test_n_looks_at_the_next_token_that_was_unlikely(desk: Desk) -> None:
    desk.has(WORDS)
    async with desk.open() as chat:
        await chat.ask("count")
        tokens = chat.path[-1].tokens
        for number in (1, 3):
            tokens[number] = TokenGenerated(text=tokens[number].text, token_id=9, logprob=-3.0)
        await chat.press("f3", "n")
        await chat.until(lambda: chat.shows("token 2 of 5"))
        await chat.press("n")
        await chat.until(lambda: chat.shows("token 4 of 5"))
        assert chat.shows("what else was likely is not known")
        await chat.press("n")
        await chat.until(lambda: chat.shows("token 2 of 5"))


@played
async def test_another_token_is_taken_and_the_model_goes_on_from_there(desk: Desk) -> None:
    model = desk.has(WORDS, (" and", " so"))
    async with desk.open() as chat:
        await chat.ask("count")
        first = chat.path[-1]
        await chat.press("f3", "right", "right", "down", "down")
        choice = first.tokens[2].alternatives[2]
        await chat.until(
            lambda: any("▸" in line and choice.text.strip() in line for line in chat.lines())
        )
        await chat.press("enter")
        await chat.until(lambda: chat.texts[-1].endswith(" and so"))
        await chat.rest()
        said = [*first.tokens[:2], choice]
        assert chat.texts == ["count", "one two " + model._texts([choice.token_id])[0] + " and so"]
        assert model.asked[1].written == [token.token_id for token in said]
        assert chat.facts[-1].startswith(version(2, 2))
        await chat.press("alt+up", "left")
        await chat.until(lambda: chat.texts == ["count", "".join(WORDS)])


@played
async def test_a_reply_from_the_file_still_has_its_tokens(desk: Desk) -> None:
    desk.has(WORDS)
    async with desk.open() as chat:
        await chat.ask("count")
        tokens = chat.path[-1].tokens
    kept = desk.only()
    assert kept.path()[-1].tokens == tokens and tokens[0].alternatives
    async with desk.open(kept) as chat:
        await chat.press("alt+up", "t")
        await chat.until(lambda: chat.shows("token 1 of 5  one·"))
        await chat.press("t")
        await chat.until(lambda: not chat.shows("token 1 of 5"))


@played
async def test_a_reply_whose_tokens_nobody_knows_says_so(desk: Desk) -> None:
    desk.has(WORDS)
    async with desk.open() as chat:
        await chat.ask("count")
        chat.conversation.add(Turn(parent=chat.conversation.leaf, role="user", text="?"))
        await chat.app.chat.front.draw()
        await chat.press("alt+up", "t")
        await chat.told("that is for a reply")
        chat.path[1].tokens.clear()
        await chat.press("up", "t")
        await chat.told("no token of this reply is known")


@played
async def test_all_of_the_alternatives_are_asked_for(desk: Desk) -> None:
    desk.base = DecodingConfig(top_logprobs=3)
    model = desk.has(WORDS)
    async with desk.open() as chat:
        await chat.ask("count")
    assert model.asked[0].settings.top_logprobs == 8
