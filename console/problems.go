package console

import (
	"fmt"
	"slices"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Severity is how bad a problem is.
type Severity string

// The severities.
const (
	// Critical: files can't be read or stored, or are lost with the next disk.
	Critical Severity = "critical"
	// Warning: that is going to happen, or something is slower than it should be.
	Warning Severity = "warning"
)

// Problem is something that is wrong, and what to do about it.
type Problem struct {
	// ID stays the same as long as the problem does.
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	What     string   `json:"what"`
	Remedy   string   `json:"remedy"`
}

// Facts is what problems are found in. What is nil is not known, and no problem by itself.
type Facts struct {
	// Trouble is why the trackers could not be asked; then the rest is as old as it is.
	Trouble  error
	Topology *Topology
	Queues   *Queues
	Fsck     *Fsck
	// Growing is the queues that have grown for a while, by their names in [Queues].
	Growing []string
}

const (
	// nearlyFull is the fill at which a device has to be thought of, full that at which
	// trackers are about to leave it aside.
	nearlyFull, full = 0.90, 0.98
)

// Find finds problems, the worst first.
func Find(f Facts) []Problem {
	found := []Problem{}
	add := func(s Severity, id, remedy, what string, args ...any) {
		found = append(found, Problem{ID: id, Severity: s, What: fmt.Sprintf(what, args...), Remedy: remedy})
	}
	if f.Trouble != nil {
		add(Critical, "tracker", "See whether the tracker and its database run, and look into its log. Files whose places are remembered are served meanwhile.",
			"No tracker answers: %v", f.Trouble)
	}
	if f.Topology != nil {
		f.Topology.problems(add)
	}
	if f.Queues != nil {
		f.Queues.problems(add)
	}
	for _, name := range f.Growing {
		add(Warning, "growing "+name, "See whether devices are unreachable or busy; give the job more workers (jobs), or wait for a quieter hour.",
			"The queue %s has been growing for a while", name)
	}
	if f.Fsck != nil {
		f.Fsck.problems(add)
	}
	slices.SortStableFunc(found, func(a, b Problem) int { return worst(a.Severity) - worst(b.Severity) })
	return found
}

func worst(s Severity) int { return slices.Index([]Severity{Critical, Warning}, s) }

// adder adds one problem.
type adder func(s Severity, id, remedy, what string, args ...any)

func (t Topology) problems(add adder) {
	if len(t.Hosts) == 0 {
		add(Critical, "no hosts", "Start a storage node with register in its block, or enter one: caddy mogilefs host add <name> --ip=<address> --port=7500.",
			"No storage host is known")
		return
	}
	takers := map[mogile.DevID]bool{}
	for _, h := range t.Hosts {
		h.problems(add)
		for _, d := range h.Devices {
			if d.takesFiles(h) {
				takers[d.ID] = true
			}
		}
	}
	if len(takers) == 0 {
		add(Critical, "no device", "Bring a device back, or add one: nothing can be stored meanwhile.", "No device takes new files")
	}
	for _, d := range t.Domains {
		for _, c := range d.Classes {
			if n := len(takers); n > 0 && c.MinDevCount > n {
				add(Warning, fmt.Sprintf("class %s %s", d.Name, c.Name), "Add devices on further hosts, or lower the class's mindevcount.",
					"Files of class %s of domain %s are to have %d copies, and %d %s new files", c.Name, d.Name, c.MinDevCount, n, plural(n, "device takes", "devices take"))
			}
		}
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func (d Device) takesFiles(h Host) bool {
	return h.Status.Writable() && d.Status.TakesNewFiles() && d.Observed == writeable && d.Fill < full
}

// problems of a host; when none of its devices answers that is one, not many.
func (h Host) problems(add adder) {
	id := fmt.Sprintf("host %d", h.ID)
	switch {
	case h.Status == mogile.HostDead:
		return
	case !h.Status.Readable():
		add(Warning, id, "Set it alive when it is back, or its devices dead when it won't be: their files are copied anew then.",
			"Host %s is marked %s: its copies are not read", h.Name, h.Status)
		return
	}
	watched, lost := 0, 0
	for _, d := range h.Devices {
		if d.Status.Monitored() && d.Observed != "" {
			watched++
			if d.Observed == unreachable {
				lost++
			}
		}
	}
	if silent := h.Reachable != nil && !*h.Reachable; silent || watched > 1 && lost == watched {
		add(Critical, id, fmt.Sprintf("See whether the machine and its storage node run, and whether %s is reached from the tracker. Mark the host down while you work on it.",
			mogile.HostAddr(h.IP, h.Port)), "Host %s does not answer", h.Name)
		return
	}
	for _, d := range h.Devices {
		d.problems(h, add)
	}
}

func (d Device) problems(h Host, add adder) {
	id := fmt.Sprintf("device %d", d.ID)
	switch {
	case d.Status == mogile.DevDown:
		add(Warning, id, "Set it alive when it is back, or dead when its files are lost: they are copied anew then.",
			"Device %s of host %s is marked down", d.ID, h.Name)
	case d.Status.Lost() || d.Observed == "":
	case d.Observed == unreachable:
		add(Critical, id, fmt.Sprintf("See whether the storage node runs at %s, whether the disk is mounted and readable, and the node's log. "+
			"When the disk is lost for good, set it dead: its files are copied anew then.", mogile.HostAddr(h.IP, h.Port)),
			"Device %s of host %s can't be read", d.ID, h.Name)
	case d.Observed == readable && h.Status.Writable() && d.Status.Deletable():
		add(Warning, id, "See whether the file system is full or mounted read-only, whether the node may write there, and whether its write_from admits the tracker.",
			"Device %s of host %s can be read, but not written", d.ID, h.Name)
	}
	if fill := id + " fill"; d.MBTotal > 0 && d.Status.TakesNewFiles() {
		switch remedy := "Add devices, then rebalance: from_percent_used=90 as its policy moves files away from full ones."; {
		case d.Fill >= full:
			add(Critical, fill, remedy, "Device %s of host %s is full: %.0f %%, %d MiB free", d.ID, h.Name, d.Fill*100, d.MBFree)
		case d.Fill >= nearlyFull:
			add(Warning, fill, remedy, "Device %s of host %s is nearly full: %.0f %%, %d MiB free", d.ID, h.Name, d.Fill*100, d.MBFree)
		}
	}
}

func (q Queues) problems(add adder) {
	if n := q.Replicate.Parked; n > 0 {
		add(Critical, "replicate parked", "Look up one of them for the reason (the log names their fids), put it right, and have all tried again: replicate/now.",
			"%d %s under the wanted count of copies and not tried any more", n, plural(int(n), "file is", "files are"))
	}
	if n := q.Replicate.Failing; n > 0 {
		add(Warning, "replicate failing", "See whether enough devices take files, on enough hosts; the log of the job replicate has the reason.",
			"%d %s under the wanted count of copies, and copying failed several times", n, plural(int(n), "file is", "files are"))
	}
	if n := q.Delete.Parked; n > 0 {
		add(Warning, "delete parked", "Bring the devices back that still have copies, or set them dead when they won't be.",
			"%d deleted %s copies that can't be removed", n, plural(int(n), "file has", "files have"))
	}
}

// problems of what a check has found since its last reset.
func (f Fsck) problems(add adder) {
	if n := f.Counts["GONE"]; n > 0 {
		add(Critical, "fsck gone", "fsck/log names them. Bring back a device that may have a copy, and check again after fsck/reset; else restore them, or delete their keys.",
			"Fsck found %d %s without any good copy", n, plural(int(n), "file", "files"))
	}
	if n := f.Counts["BSUM"] + f.Counts["MSUM"]; n > 0 {
		add(Critical, "fsck sums", "fsck/log names them. A disk that changes bytes is about to die: look at its health and drain it.",
			"Fsck found %d %s whose copies have wrong checksums", n, plural(int(n), "file", "files"))
	}
}
