package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mogilefs/caddy-mogilefs/storage"
	"github.com/mogilefs/caddy-mogilefs/tally"
)

type storageFamilies struct {
	requests, failures, opened, sent, written *prometheus.Desc
	stored, removed, errors, syncs            *prometheus.Desc
	used, available, takesWrites, answers     *prometheus.Desc
}

func newStorageFamilies(d declare) storageFamilies {
	return storageFamilies{
		requests:    d("storage_requests_total", "Requests to a storage node over HTTP.", "device", "method"),
		failures:    d("storage_failures_total", "Requests over HTTP that were answered with a failure.", "device", "status"),
		opened:      d("storage_local_reads_total", "Files that the edge of the same process read, without HTTP.", "device"),
		sent:        d("storage_sent_bytes_total", "Bytes of files that were sent over HTTP.", "device"),
		written:     d("storage_written_bytes_total", "Bytes of files that were stored.", "device"),
		stored:      d("storage_stored_files_total", "Files that were stored, those of the trackers' write tests included.", "device"),
		removed:     d("storage_removed_files_total", "Files that were removed, those of the trackers' write tests included.", "device"),
		errors:      d("storage_errors_total", "Files that could not be opened, written, synced or removed, but for want of space.", "device"),
		syncs:       d("storage_sync_duration_seconds", "How long it took to make a written file durable.", "device"),
		used:        d("storage_device_used_bytes", "How much of the device's file system is used.", "node", "device"),
		available:   d("storage_device_available_bytes", "How much of the device's file system is available.", "node", "device"),
		takesWrites: d("storage_device_takes_writes", "Whether the device takes writes: its disk has not failed at one since the last test.", "node", "device"),
		answers:     d("storage_device_answers", "Whether the device's disk answers: reads don't hang.", "node", "device"),
	}
}

func (f storageFamilies) show(out sink, t *tally.Storage, nodes map[string][]storage.DeviceStats) {
	for dev, d := range t.Devices.All() {
		device := dev.String()
		for method, n := range d.Requests.All() {
			out.count(f.requests, n.Read(), device, method)
		}
		for status, n := range d.Failures.All() {
			out.count(f.failures, n.Read(), device, strconv.Itoa(status))
		}
		out.count(f.opened, d.Opened.Read(), device)
		out.count(f.sent, d.Sent.Read(), device)
		out.count(f.written, d.Written.Read(), device)
		out.count(f.stored, d.Stored.Read(), device)
		out.count(f.removed, d.Removed.Read(), device)
		out.count(f.errors, d.Errors.Read(), device)
		out.durations(f.syncs, d.Syncs.Read(), device)
	}
	for node, devices := range nodes {
		for _, d := range devices {
			device := d.Device.String()
			out.is(f.takesWrites, d.TakesWrites, node, device)
			out.is(f.answers, d.Answers, node, device)
			if d.Measured {
				out.gauge(f.used, float64(d.Used), node, device)
				out.gauge(f.available, float64(d.Available), node, device)
			}
		}
	}
}
