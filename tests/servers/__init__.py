"""Private servers for the tests, and what breaks them."""

from .mariadb import MariaDBServer as MariaDBServer
from .memcached import MemcachedServer as MemcachedServer
from .postgresql import PostgreSQLServer as PostgreSQLServer
from .processes import Server as Server
from .processes import free_port as free_port
from .processes import lacking as lacking
from .processes import need as need
from .proxy import Proxy as Proxy
from .redis import Redis62 as Redis62
from .redis import RedisServer as RedisServer
from .redis import ValkeyServer as ValkeyServer
from .redis_cluster import RedisCluster as RedisCluster
from .redis_sentinel import RedisSentinel as RedisSentinel
from .redis_sentinel import RedisSentinels as RedisSentinels
