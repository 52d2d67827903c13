package metrics

import (
	"math"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

type topologyFamilies struct {
	reachable, hostState                                    *prometheus.Desc
	state, seen, readable, takesFiles, used, total, percent *prometheus.Desc
}

func newTopologyFamilies(d declare) topologyFamilies {
	return topologyFamilies{
		reachable:  d("host_reachable", "Whether the tracker reached the host when it last looked; hosts that it does not look at are left out.", "host"),
		hostState:  d("host_state", "1 for the state that operators have given the host.", "host", "state"),
		state:      d("device_state", "1 for the state that operators have given the device.", "device", "host", "state"),
		seen:       d("device_seen", "1 for what the tracker saw the device to be.", "device", "host", "seen"),
		readable:   d("device_readable", "Whether copies can be read from the device now.", "device", "host"),
		takesFiles: d("device_takes_files", "Whether new copies can be put on the device now.", "device", "host"),
		used:       d("device_used_bytes", "How much of the device is used.", "device", "host"),
		total:      d("device_total_bytes", "How large the device is.", "device", "host"),
		percent:    d("device_utilization_ratio", "How busy the device is, 1 being always.", "device", "host"),
	}
}

const mib = 1 << 20

func (f topologyFamilies) show(out sink, snap *topology.Snapshot) {
	reachable := map[string]bool{}
	for _, d := range snap.Devices() {
		device, host := d.ID.String(), string(d.On.Name)
		out.gauge(f.state, 1, device, host, string(d.State))
		if !d.Monitored() {
			continue
		}
		reachable[host] = d.HostReachable
		seen := string(d.Seen.State)
		if !d.HostReachable {
			seen = string(topology.SeenUnreachable)
		}
		if seen != "" {
			out.gauge(f.seen, 1, device, host, seen)
		}
		out.is(f.readable, d.Readable(), device, host)
		out.is(f.takesFiles, d.TakesNewFiles(), device, host)
		out.gauge(f.used, float64(d.MBUsed*mib), device, host)
		out.gauge(f.total, float64(d.MBTotal*mib), device, host)
		percent, err := strconv.ParseFloat(d.Seen.Utilization, 64)
		if err != nil {
			percent = math.NaN() // its node does not tell
		}
		out.gauge(f.percent, percent/100, device, host)
	}
	for host, is := range reachable {
		out.is(f.reachable, is, host)
	}
	for _, h := range snap.Hosts() {
		out.gauge(f.hostState, 1, string(h.Name), string(h.State))
	}
}
