package sidechannel

import (
	"bytes"
	"slices"
	"strconv"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Load is how busy a device's disk was.
type Load struct {
	Dev mogile.DevID
	// Busy is the part of the interval during which requests were in flight;
	// Known is false when the system does not tell.
	Busy, Interval time.Duration
	Known          bool
}

// Block is the text of one interval: a line for each device in the order of their
// numbers, then a dot. Its lines end in LF alone.
func Block(loads []Load) []byte {
	slices.SortFunc(loads, func(a, b Load) int { return int(a.Dev) - int(b.Dev) })
	var b bytes.Buffer
	for _, l := range loads {
		b.WriteString(l.Dev.String())
		b.WriteByte('\t')
		b.WriteString(l.percent())
		b.WriteByte('\n')
	}
	b.WriteString(".\n")
	return b.Bytes()
}

// percent has two decimals. The kernel counts in ticks, so that the sum may exceed
// the interval; more than 100 is not possible.
func (l Load) percent() string {
	if !l.Known || l.Interval <= 0 {
		return "-"
	}
	share := min(max(float64(l.Busy)/float64(l.Interval), 0), 1)
	return strconv.FormatFloat(100*share, 'f', 2, 64)
}
