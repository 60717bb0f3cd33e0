"""A company's people and addresses: saved, changed, told where others need to know."""

from __future__ import annotations

from uuid import uuid4

from libs.common.events.directory import CompanyUpdated
from tests.integration.admin_api.builders import COMPANY, admin
from tests.world import World, until


async def test_a_change_of_a_company_is_told_once_with_what_became_different(world: World) -> None:
    async with admin(world) as http:
        company = (await http.post("/api/companies", json=COMPANY)).json()
        path = f"/api/companies/{company['company_id']}"
        for _ in range(2):
            changed = await http.patch(path, json={"email": "Compta@NOUVEAU.fr", "name": company["name"]})
            assert changed.status_code == 200, changed.text
        assert (await http.get(path)).json() == {**company, "email": "Compta@nouveau.fr"}
        [told] = await until(lambda: world.told(CompanyUpdated), what="the change")
        assert (told.email, told.name, told.phone) == ("Compta@nouveau.fr", None, None)
        assert (await http.patch(path, json={"email": "personne"})).status_code == 422
        assert (await http.patch(path, json={"phone": None})).status_code == 422
        assert (await http.patch(path, json={"siren": "1"})).status_code == 422
        assert (await http.patch(f"/api/companies/{uuid4()}", json={})).status_code == 404


async def test_contacts_are_saved_under_ids_of_the_caller(world: World) -> None:
    async with admin(world) as http:
        one = (await http.post("/api/companies", json=COMPANY)).json()["company_id"]
        other = (await http.post("/api/companies", json=COMPANY)).json()["company_id"]
        contact_id = uuid4()
        path = f"/api/companies/{one}/contacts"
        for last_name in ("Le Goff", "Le Goff-Morel"):
            form = {"first_name": "Anne", "last_name": last_name, "phone": "06 12 34 56 78"}
            saved = await http.put(f"{path}/{contact_id}", json=form)
            assert saved.status_code == 200, saved.text
        [contact] = (await http.get(path)).json()["contacts"]
        assert (contact["last_name"], contact["phone"]) == ("Le Goff-Morel", "+33612345678")
        taken = await http.put(f"/api/companies/{other}/contacts/{contact_id}", json={"last_name": "X"})
        assert (taken.status_code, taken.json()["code"]) == (409, "contact_of_another_company")
        nameless = await http.put(f"{path}/{uuid4()}", json={"email": "a@example.fr"})
        assert nameless.status_code == 422
        for _ in range(2):
            assert (await http.delete(f"{path}/{contact_id}")).status_code == 204
        assert (await http.get(path)).json() == {"contacts": []}
