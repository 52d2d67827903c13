package capacity

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cli/screen"
)

// line is a figure with its name.
type line struct{ name, value string }

// lines are the figures as people read them.
func (f Figures) lines() []line {
	all := []line{{"rows in the tables", count(f.Rows)}}
	for _, d := range databases {
		all = append(all, line{"tables in " + d.name, bytes(f.Metadata[d.name])})
	}
	return append(all,
		line{"bytes of all copies", bytes(f.Stored)},
		line{"disks for these bytes and for half their seeks", count(f.Disks)},
		line{"machines for them", count(f.Machines)},
		line{"copies on each disk", count(f.PerDisk)},
		line{"memory for the locations of a tenth", bytes(f.Locations)},
		line{"memory for the locations of all", bytes(f.AllLocations)},
		line{"cores of edges for reading", cores(f.Edge)},
		line{"cores of trackers, nodes and database", cores(f.Tracker)},
		line{"statements of the database in a second, at most", count(f.Statements)},
		line{"syncs of the database in a second, at most", count(f.Syncs)},
		line{"sent to readers in a second", bytes(f.Traffic)},
		line{"each disk is full, and busy", fmt.Sprintf("%.0f %%, %.0f %%", f.Full*100, f.Busy*100)},
		line{"a dead disk is replaced in", span(f.Repair)},
		line{"which waits for", f.Limit},
		line{"a check of all files, on one core", span(f.Checked)},
	)
}

// writeTable writes a table of Markdown with a column for each.
func writeTable(w io.Writer, heads []string, columns [][]line) {
	fmt.Fprint(w, "| |")
	for _, head := range heads {
		fmt.Fprintf(w, " %s |", head)
	}
	fmt.Fprint(w, "\n|---|")
	for range heads {
		fmt.Fprint(w, "---|")
	}
	fmt.Fprintln(w)
	for i, first := range columns[0] {
		fmt.Fprintf(w, "| %s |", first.name)
		for _, column := range columns {
			fmt.Fprintf(w, " %s |", column[i].value)
		}
		fmt.Fprintln(w)
	}
}

// count is a number to three digits.
func count(n float64) string {
	if n < 1000 {
		return fmt.Sprintf("%.3g", n)
	}
	exponent := math.Floor(math.Log10(n))
	if exponent < 6 {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.1f·10^%.0f", n/math.Pow(10, exponent), exponent)
}

func bytes(n float64) string {
	if n > math.MaxInt64 {
		return fmt.Sprintf("%.0f PiB", n/(1<<50))
	}
	return screen.Bytes(int64(n))
}

func cores(n float64) string { return fmt.Sprintf("%.1f", n) }

func span(d time.Duration) string {
	const day = 24 * time.Hour
	if d > 100*day {
		return fmt.Sprintf("%.0f days", d.Hours()/24)
	}
	return screen.Duration(d)
}
