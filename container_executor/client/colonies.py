"""Calls about the server, its colonies, and who belongs to them."""

from typing import Any

from container_executor.client import parse
from container_executor.client.call import Call, Caller, about, many, nothing, one
from container_executor.client.models import Colony, Statistics, User
from container_executor.client.reading import Reading


class ColonyCalls(Caller):
    """The server and its colonies: versions, counts, pausing, members."""

    async def version(self) -> dict[str, Any]:
        """Return what the server says of its build. Needs no membership; any server that answers is alive."""
        read = one(lambda row: {key: value for key, value in row.fields.items() if key != "msgtype"})
        return await self._ask(Call("versionmsg", {}, read, repeatable=True, signed=False))

    async def statistics(self) -> Statistics:
        """Return how many of what the colony has."""
        return await self._ask(Call("getcolonystatsmsg", self._here(), one(parse.statistics), repeatable=True))

    async def pause(self) -> None:
        """Stop giving work to executors. Needs the colony owner's key."""
        await self._ask(Call("pauseassignmentsmsg", self._here(), nothing, repeatable=True))

    async def resume(self) -> None:
        """Give work to executors again. Needs the colony owner's key."""
        await self._ask(Call("resumeassignmentsmsg", self._here(), nothing, repeatable=True))

    async def paused(self) -> bool:
        """Return whether the colony gives no work to executors."""
        read = about("colonyname", self.colony, lambda row: row.flag("ispaused"))
        call = Call("getpausestatusmsg", self._here(), read, repeatable=True, answer="pausestatusreplymsg")
        return await self._ask(call)

    async def add_colony(self, name: str, owner_id: str) -> Colony:
        """Make a colony that belongs to the key with the id *owner_id*. Needs the server owner's key."""
        fields = {"colony": {"colonyid": owner_id, "name": name}}
        return await self._ask(Call("addcolonymsg", fields, about("name", name, _colony)))

    async def colonies(self) -> list[Colony]:
        """Return all colonies. Needs the server owner's key."""
        return await self._ask(Call("getcoloniesmsg", {}, many(_colony), repeatable=True))

    async def owner_id(self) -> str:
        """Return the id of the colony owner's key, which tells the colony from others of its name. Any member may ask."""
        read = about("name", self.colony, lambda row: row.text("colonyid"))
        return await self._ask(Call("getcolonymsg", self._here(), read, repeatable=True))

    async def remove_colony(self, name: str) -> None:
        """Delete a colony and all that is in it. Needs the server owner's key."""
        await self._ask(Call("removecolonymsg", {"colonyname": name}, nothing))

    async def add_user(self, user: User) -> User:
        """Make a key a member of the colony. Needs the colony owner's key."""
        record = {
            "colonyname": self.colony,
            "userid": user.id,
            "name": user.name,
            "email": user.email,
            "phone": user.phone,
        }
        return await self._ask(Call("addusermsg", {"user": record}, about("userid", user.id, _user)))

    async def users(self) -> list[User]:
        """Return the colony's users."""
        return await self._ask(Call("getusersmsg", self._here(), many(_user), repeatable=True))

    async def remove_user(self, name: str) -> None:
        """Take a user out of the colony. Needs the colony owner's key."""
        await self._ask(Call("removeusermsg", {**self._here(), "name": name}, nothing))

    def _here(self) -> dict[str, Any]:
        return {"colonyname": self.colony}


def _colony(row: Reading) -> Colony:
    return Colony(name=row.text("name"), owner_id=row.text("colonyid"))


def _user(row: Reading) -> User:
    return User(name=row.text("name"), id=row.text("userid"), email=row.text("email"), phone=row.text("phone"))
