package rebalance

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Policy is what an operator wants to have moved. The zero Policy moves everything
// from everywhere.
type Policy struct {
	From, To Filter
	// NotToHosts and NotToDevices take no files.
	NotToHosts   []mogile.HostID
	NotToDevices []mogile.DevID
	// Newest begins with the files that came last, not with the oldest.
	Newest bool
	Limit  Limit
	// Offer is how many destinations each file is offered; 0 means all.
	Offer int
	// LeaveDraining leaves the sources in the state drain when they are done with.
	LeaveDraining bool
}

// LimitBy is what a limit counts.
type LimitBy string

// What there is to count.
const (
	ByNothing LimitBy = "none"
	ByCount   LimitBy = "count"
	BySize    LimitBy = "size"
)

// Limit is how much is moved at most. The zero Limit is none.
type Limit struct {
	By LimitBy // empty means ByNothing
	// Most is files or bytes.
	Most int64
	// Global limits the whole rebalance, not each source.
	Global bool
}

// None reports whether nothing is limited.
func (l Limit) None() bool { return l.By == "" || l.By == ByNothing }

// Parse reads a policy: settings name=value with one blank between two of them; commas
// make a value a list. (The peer looks at values only when it comes to use them, and
// takes what is no number for 0; here they are refused.)
func Parse(text string) (Policy, error) {
	var p Policy
	for _, word := range words(text) {
		name, value, given := strings.Cut(word, "=")
		read, known := settings[name]
		switch {
		case !known:
			//lint:ignore ST1005 the peer's words, which operators may look for
			return Policy{}, fmt.Errorf("Invalid setting %s", name)
		case !given: // cut off on its way, as a = is that was not escaped
			return Policy{}, fmt.Errorf("%s has no value", name)
		}
		if err := read(&p, value); err != nil {
			return Policy{}, fmt.Errorf("%s=%s: %w", name, value, err)
		}
	}
	if !p.Limit.None() && p.Limit.Most == 0 {
		return Policy{}, fmt.Errorf("limit_by=%s: limit is missing or 0, so that nothing would be moved", p.Limit.By)
	}
	return p, nil
}

// words splits a text at each single blank. Blanks at the end are none, any other that
// is too many makes an empty word.
func words(text string) []string {
	text = strings.TrimRight(text, blanks)
	if text == "" {
		return nil
	}
	return strings.Split(strings.NewReplacer("\t", " ", "\n", " ", "\r", " ", "\f", " ").Replace(text), " ")
}

const blanks = " \t\n\r\f"

// settings is all settings of a policy. Nothing changes it.
var settings = map[string]func(p *Policy, value string) error{
	"from_all_devs":       func(*Policy, string) error { return nil }, // no effect
	"from_hosts":          func(p *Policy, v string) error { return readIDs(v, &p.From.Hosts) },
	"from_devices":        func(p *Policy, v string) error { return readIDs(v, &p.From.Devices) },
	"from_percent_used":   func(p *Policy, v string) error { return readBound(v, &p.From.PercentUsed) },
	"from_percent_free":   func(p *Policy, v string) error { return readBound(v, &p.From.PercentFree) },
	"from_space_used":     func(p *Policy, v string) error { return readBound(v, &p.From.SpaceUsed) },
	"from_space_free":     func(p *Policy, v string) error { return readBound(v, &p.From.SpaceFree) },
	"fid_age":             func(p *Policy, v string) error { return readWord(v, &p.Newest, "old", "new") },
	"limit_type":          func(p *Policy, v string) error { return readWord(v, &p.Limit.Global, "device", "global") },
	"limit_by":            readLimitBy,
	"limit":               func(p *Policy, v string) error { return readLimit(v, &p.Limit.Most) },
	"to_all_devs":         func(*Policy, string) error { return nil }, // no effect
	"to_hosts":            func(p *Policy, v string) error { return readIDs(v, &p.To.Hosts) },
	"to_devices":          func(p *Policy, v string) error { return readIDs(v, &p.To.Devices) },
	"to_percent_used":     func(p *Policy, v string) error { return readBound(v, &p.To.PercentUsed) },
	"to_percent_free":     func(p *Policy, v string) error { return readBound(v, &p.To.PercentFree) },
	"to_space_used":       func(p *Policy, v string) error { return readBound(v, &p.To.SpaceUsed) },
	"to_space_free":       func(p *Policy, v string) error { return readBound(v, &p.To.SpaceFree) },
	"not_to_hosts":        func(p *Policy, v string) error { return readIDs(v, &p.NotToHosts) },
	"not_to_devices":      func(p *Policy, v string) error { return readIDs(v, &p.NotToDevices) },
	"use_dest_devs":       func(p *Policy, v string) error { return readOffer(v, &p.Offer) },
	"leave_in_drain_mode": func(p *Policy, v string) error { return readWord(v, &p.LeaveDraining, "0", "1") },
}

// readIDs reads a list of numbers. A later list replaces an earlier one.
func readIDs[ID ~uint32](value string, ids *[]ID) error {
	*ids = nil
	for _, element := range elements(value) {
		n, err := strconv.ParseUint(element, 10, 32)
		if err != nil || n == 0 {
			return fmt.Errorf("%q is no id: want numbers with commas between", element)
		}
		*ids = append(*ids, ID(n))
	}
	return nil
}

// elements splits a list. Readers must pass over empty elements.
func elements(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' })
}

func readBound(value string, bound *Bound) error {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) || n < 0 {
		return fmt.Errorf("want a number")
	}
	*bound = Over(n)
	return nil
}

// readWord reads one of two words; the second one means true.
func readWord(value string, is *bool, no, yes string) error {
	if value != no && value != yes {
		return fmt.Errorf("want %s or %s", no, yes)
	}
	*is = value == yes
	return nil
}

func readLimitBy(p *Policy, value string) error {
	switch by := LimitBy(value); by {
	case ByNothing, ByCount, BySize:
		p.Limit.By = by
		return nil
	}
	return fmt.Errorf("want none, count or size")
}

// readLimit reads a number with or without a unit.
func readLimit(value string, n *int64) error {
	digits, shift := value, 0
	if last := len(value) - 1; last >= 0 {
		if power := strings.IndexByte("bkmgtp", value[last]|0x20); power >= 0 {
			digits, shift = value[:last], 10*power
		}
	}
	count, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || count > math.MaxInt64>>shift {
		return fmt.Errorf("want a number, of bytes with one of the units b k m g t p")
	}
	*n = int64(count) << shift
	return nil
}

func readOffer(value string, n *int) error {
	if value == "all" {
		*n = 0
		return nil
	}
	count, err := strconv.ParseUint(value, 10, 16)
	if err != nil || count == 0 {
		return fmt.Errorf("want all, or a number of devices")
	}
	*n = int(count)
	return nil
}

// String is the policy as [Parse] reads it, without what is the default.
func (p Policy) String() string {
	var b strings.Builder
	add := func(name, value string) {
		if value == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(name + "=" + value)
	}
	p.From.write("from_", add)
	if p.Newest {
		add("fid_age", "new")
	}
	if p.Limit.Global {
		add("limit_type", "global")
	}
	if !p.Limit.None() {
		add("limit_by", string(p.Limit.By))
	}
	if p.Limit.Most != 0 {
		add("limit", strconv.FormatInt(p.Limit.Most, 10))
	}
	p.To.write("to_", add)
	add("not_to_hosts", joinIDs(p.NotToHosts))
	add("not_to_devices", joinIDs(p.NotToDevices))
	if p.Offer != 0 {
		add("use_dest_devs", strconv.Itoa(p.Offer))
	}
	if p.LeaveDraining {
		add("leave_in_drain_mode", "1")
	}
	return b.String()
}

func joinIDs[ID ~uint32](ids []ID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.FormatUint(uint64(id), 10)
	}
	return strings.Join(texts, ",")
}
