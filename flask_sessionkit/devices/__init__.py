"""A ready page on which users see where they are signed in, and end what they do not know."""

from .listing import DeviceList as DeviceList
from .listing import ListedDevice as ListedDevice
from .listing import Moment as Moment
from .views import device_list as device_list
from .views import device_name as device_name
from .views import devices_blueprint as devices_blueprint
