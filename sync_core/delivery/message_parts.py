"""What the payloads of outgoing events are made of. Money is a text in major units with its currency."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Amount(Model):
    amount: Annotated[str, Field(pattern=r"^-?\d+(\.\d+)?$", description="In major units")]
    currency: Annotated[str, Field(description="ISO 4217")]


class Customer(Model):
    code: str
    name: str


class ContractRef(Model):
    """The contract as Tieline knew it when the event was made."""

    id: Annotated[str, Field(description="In its CLM")]
    source: Annotated[str, Field(description="The CloudEvents source of its CLM")]
    title: str
    customer: Customer
    legal_entity: Annotated[str | None, Field(description="null: not known yet")]
    value: Amount
    project: Annotated[str | None, Field(description="The ERP's reference of its project")]
    test: Annotated[bool, Field(description="A trial contract, never counted")]


class Links(Model):
    page: Annotated[str, Field(description="Where a person sees it")]


class Message(Model):
    links: Links


class OfContract(Message):
    contract: ContractRef
