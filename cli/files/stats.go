package files

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/screen"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func stats() *frame.Command {
	return &frame.Command{
		Name: "stats", Short: "Count files by domain, class and number of copies",
		Long: "As mogstats, but it asks a tracker for all files instead of the database. What only the\n" +
			"database knows, mogstats tells: how many files a device has, and the queues. top shows the\n" +
			"queues of trackers of ours.",
		Run: runStats,
		Options: []frame.Option{
			{Name: "stats", Value: "fids,files,domains,replication", Help: "which; all but domains by default"},
		},
	}
}

// kinds are the statistics. What files tells, domains does too, so all leaves that out.
var (
	kinds    = []string{"fids", "files", "domains", "replication"}
	allKinds = []string{"fids", "files", "replication"}
	// databaseKinds are mogstats' others.
	databaseKinds = []string{"devices", "replication-queue", "delete-queue", "general-queues"}
)

// sums are what was counted.
type sums struct {
	MaxFID string `json:"max_fid"`
	// Files are by domain, class and number of copies.
	Files []countJSON `json:"files"`
}

// countJSON is how many files of a class have so many copies, and their sizes in bytes.
type countJSON struct {
	Domain   string `json:"domain"`
	Class    string `json:"class"`
	DevCount int64  `json:"devcount"`
	Files    int64  `json:"files"`
	Size     int64  `json:"size"`
}

func runStats(ctx context.Context, c *frame.Call) error {
	wanted, err := kindsOf(c.Option("stats"))
	if err != nil {
		return err
	}
	trackers, err := c.Trackers()
	if err != nil {
		return err
	}
	var progress *screen.Progress
	if c.ErrTerminal {
		progress = screen.NewProgress(c.Stderr, nil)
	}
	type kind struct {
		domain, class string
		devcount      int64
	}
	counted := map[kind]*countJSON{}
	total := sums{Files: []countJSON{}}
	err = eachFid(ctx, trackers, 0, 0, func(fid string, f map[string]string) {
		k := kind{f["domain"], f["class"], protocol.Num(f["devcount"])}
		if counted[k] == nil {
			counted[k] = &countJSON{Domain: k.domain, Class: k.class, DevCount: k.devcount}
		}
		counted[k].Files++
		counted[k].Size += protocol.Num(f["length"])
		total.MaxFID = fid
		progress.File()
	})
	progress.End()
	if err != nil {
		return frame.Fail("Error listing fids", err, "")
	}
	for one := range maps.Values(counted) {
		total.Files = append(total.Files, *one)
	}
	slices.SortFunc(total.Files, func(a, b countJSON) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Class, b.Class), cmp.Compare(a.DevCount, b.DevCount))
	})
	return c.Show(frame.Listing{JSON: total, Plain: func(w io.Writer) { total.write(w, wanted) }})
}

func kindsOf(list string) ([]string, error) {
	if list == "" || list == "all" {
		return allKinds, nil
	}
	wanted := strings.Split(list, ",")
	for _, one := range wanted {
		switch {
		case slices.Contains(databaseKinds, one):
			return nil, &frame.Failure{Err: fmt.Errorf("only the database knows %s", one), Next: "ask mogstats; top shows the queues of trackers of ours"}
		case !slices.Contains(kinds, one):
			return nil, fmt.Errorf("stats %q: want some of %s, or all", one, strings.Join(kinds, ", "))
		}
	}
	return wanted, nil
}

func (s sums) write(w io.Writer, wanted []string) {
	fmt.Fprintf(w, "Fetching statistics... (%s)\n", strings.Join(wanted, ", "))
	for _, one := range wanted {
		fmt.Fprintln(w)
		switch one {
		case "fids":
			fmt.Fprintf(w, "Statistics for fids...\n  Max file id: %s\n", cmp.Or(s.MaxFID, "none"))
		case "files":
			s.table("files", []string{"domain", "class", "files", "size (m)", "fullsize (m)"}, func(f countJSON) ([]string, []int64) {
				return []string{f.Domain, f.Class}, []int64{f.Files, f.Size, f.Size * f.DevCount}
			}, "", "m", "m").Write(w)
		case "domains":
			s.table("domains", []string{"domain", "class", "files"}, func(f countJSON) ([]string, []int64) {
				return []string{f.Domain, f.Class}, []int64{f.Files}
			}, "").Write(w)
		case "replication":
			s.table("replication", []string{"domain", "class", "devcount", "files"}, func(f countJSON) ([]string, []int64) {
				return []string{f.Domain, f.Class, fmt.Sprint(f.DevCount)}, []int64{f.Files}
			}, "").Write(w)
		}
	}
	fmt.Fprintln(w, "\ndone")
}

// table sums up what has the same words; units say which sums are shown in MiB.
func (s sums) table(name string, header []string, of func(countJSON) (words []string, numbers []int64), units ...string) screen.Table {
	t := screen.Table{Title: "Statistics for " + name + "...", Header: header}
	for i := range units {
		t.Right = append(t.Right, len(header)-len(units)+i)
	}
	var last []string
	var totals []int64
	flush := func() {
		if last == nil {
			return
		}
		cells := slices.Clone(last)
		for i, n := range totals {
			if units[i] == "m" {
				n >>= 20
			}
			cells = append(cells, fmt.Sprint(n))
		}
		t.Add(cells...)
	}
	for _, f := range s.Files {
		words, numbers := of(f)
		if !slices.Equal(words, last) {
			flush()
			last, totals = words, make([]int64, len(numbers))
		}
		for i, n := range numbers {
			totals[i] += n
		}
	}
	flush()
	return t
}
