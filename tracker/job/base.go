package job

import (
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// base is how URLs of the device's host begin. Jobs always use the main address.
func base(d topology.Device, port uint16) string {
	return "http://" + mogile.HostAddr(d.On.IP, port)
}
