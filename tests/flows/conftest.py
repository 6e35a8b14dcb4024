"""What the flow tests run on: every kind of store."""

from flow_fixtures import each_of
from flow_stores import KINDS

kind = each_of(KINDS)
