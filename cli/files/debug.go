package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/transfer"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func debug() *frame.Command {
	return &frame.Command{
		Name: "debug", Short: "Look at every copy of a file, and at all that is known of it",
		Long: "As mogfiledebug. Exits with 1 when something is wrong with the file.",
		Run:  runDebug,
		Options: []frame.Option{
			domainOption, keyOption,
			{Name: "fid", Value: "fid", Help: "the fid, instead of a domain and a key"},
			{Name: "paths", Value: "print|stat|fetch", Help: "list the copies, ask for their sizes, or read and sum them; fetch by default"},
		},
	}
}

// copyJSON is a copy in JSON.
type copyJSON struct {
	URL      string `json:"url"`
	Device   string `json:"devid"`
	Status   string `json:"status"`
	Observed string `json:"observed_state"`
	transfer.Look
	Troubles []string `json:"troubles,omitempty"`
}

// debugJSON is all that is known of a file, in JSON.
type debugJSON struct {
	Copies []copyJSON                   `json:"copies"`
	Rows   map[string]map[string]string `json:"rows"`
	// Devices are those that the tracker has recorded.
	Devices  string `json:"devids"`
	Checksum string `json:"checksum"`
	checks
	Troubles []string `json:"troubles,omitempty"`
}

// rowNames are the tables whose rows file_debug tells, beside the file's own.
var rowNames = []string{"tempfile", "replqueue", "delqueue", "rebqueue", "fsckqueue"}

func runDebug(ctx context.Context, c *frame.Call) error {
	how := c.Option("paths")
	if how == "" {
		how = "fetch"
	}
	if !slices.Contains([]string{"print", "stat", "fetch"}, how) {
		return fmt.Errorf("paths %q: want print, stat or fetch", how)
	}
	trackers, err := c.Trackers()
	if err != nil {
		return err
	}
	s := transfer.New(trackers, mogile.DomainName(c.Option("domain")))
	defer s.Close()
	var args protocol.Pairs
	switch {
	case c.Option("fid") != "":
		if _, err := mogile.ParseFID(c.Option("fid")); err != nil {
			return err
		}
		args.Add("fid", c.Option("fid"))
	case c.Option("key") == "":
		return errors.New("no file was given: name it with --domain= and --key=, or with --fid=")
	default:
		args.Add("domain", string(s.Domain))
		args.Add("key", c.Option("key"))
	}
	v, err := trackers.Do(ctx, "file_debug", args)
	if err != nil {
		return fail(c, s, "Error fetching file debug", mogile.Key(c.Option("key")), err)
	}
	devices, err := trackers.Devices(ctx)
	if err != nil {
		return fail(c, s, "Error fetching devices", "", err)
	}
	d := debugJSON{Rows: rowsOf(v), Devices: v["devids"], Checksum: v["checksum"], Copies: []copyJSON{}}
	d.look(ctx, s, v, devices, how)
	d.judge()
	if fid := d.fid(); fid != "" {
		d.checks = checksOf(ctx, trackers, fid)
	}
	if err := c.Show(frame.Listing{JSON: d, Plain: func(w io.Writer) { d.write(w, how, c.OutTerminal) }}); err != nil {
		return err
	}
	// An unknown fid is no trouble of a file's: mogfiledebug exits with 0.
	if len(d.Rows["fid"]) > 0 && d.troubled() {
		return &frame.Failure{Exit: 1}
	}
	return nil
}

// rowsOf sorts an answer into the rows that it tells.
func rowsOf(v protocol.Values) map[string]map[string]string {
	rows := map[string]map[string]string{}
	for name, value := range v {
		table, column, ok := strings.Cut(name, "_")
		if !ok || table != "fid" && !slices.Contains(rowNames, table) {
			continue
		}
		if rows[table] == nil {
			rows[table] = map[string]string{}
		}
		rows[table][column] = value
	}
	return rows
}

// look looks at all copies, by their devices' numbers.
func (d *debugJSON) look(ctx context.Context, s *transfer.Store, v protocol.Values, devices []client.Device, how string) {
	for _, dev := range strings.Split(v["devids"], ",") {
		url := v["devpath_"+dev]
		if url == "" {
			continue
		}
		one := copyJSON{URL: url, Device: dev, Status: "unknown"}
		for _, known := range devices {
			if known.ID.String() == dev {
				one.Status, one.Observed = string(known.State), known.Observed
			}
		}
		switch how {
		case "stat":
			one.Look = s.Stat(ctx, url)
		case "fetch":
			one.Look = s.Read(ctx, url)
		}
		d.Copies = append(d.Copies, one)
	}
}

// judge says what is wrong.
func (d *debugJSON) judge() {
	file := d.Rows["fid"]
	if len(file) == 0 {
		d.Troubles = append(d.Troubles, "No file row was found!")
	} else if len(d.Copies) == 0 {
		d.Troubles = append(d.Troubles, "No copy is recorded!")
	}
	first := ""
	for i := range d.Copies {
		c := &d.Copies[i]
		if c.Result == "" { // it was not looked at
			continue
		}
		if !c.OK {
			c.Troubles = append(c.Troubles, "File copy is missing: "+c.Result)
			continue
		}
		if first == "" {
			first = c.MD5
		}
		if c.MD5 != first {
			c.Troubles = append(c.Troubles, "Hash does not match first path!")
		}
		if len(file) > 0 && file["length"] != fmt.Sprint(c.Length) {
			c.Troubles = append(c.Troubles, "Length does not match file row!")
		}
		if want, isMD5 := strings.CutPrefix(d.Checksum, "MD5:"); isMD5 && c.MD5 != "" && !strings.EqualFold(want, c.MD5) {
			c.Troubles = append(c.Troubles, "Hash does not match stored checksum!")
		}
	}
}

func (d *debugJSON) troubled() bool {
	return len(d.Troubles) > 0 || slices.ContainsFunc(d.Copies, func(c copyJSON) bool { return len(c.Troubles) > 0 })
}

// headings begin the list of copies.
var headings = map[string]string{
	"fetch": "Fetching and summing paths...", "stat": "Checking status of paths...", "print": "Paths...",
}

func (d *debugJSON) write(w io.Writer, how string, people bool) {
	if len(d.Copies) == 0 {
		fmt.Fprintln(w, "No valid-ish paths found")
	} else {
		fmt.Fprintln(w, headings[how])
	}
	for _, c := range d.Copies {
		c.write(w, people)
	}
	fmt.Fprintln(w, "\nTempfile and/or queue rows...")
	none := true
	for _, name := range rowNames {
		if row := d.Rows[name]; len(row) > 0 {
			none = false
			writeRow(w, "- "+strings.ToUpper(name[:1])+name[1:]+" Row:", row)
		}
	}
	if none {
		fmt.Fprintln(w, "none.")
	}
	if file := d.Rows["fid"]; len(file) > 0 {
		writeRow(w, "\n- File Row:", file)
	} else {
		fmt.Fprint(w, "- ERROR: No file row was found!\nFile may have been deleted or never closed.\n"+
			"See above for any matching rows from tempfile or delqueue.\n")
	}
	fmt.Fprintln(w)
	if d.Devices != "" {
		fmt.Fprintf(w, "- Raw devids: %s\n", d.Devices)
	}
	fmt.Fprintf(w, "- Stored checksum: %s\n", d.Checksum)
	d.checks.write(w)
}

// fid is the file's, when one of the rows tells.
func (d *debugJSON) fid() string {
	for _, row := range d.Rows {
		if row["fid"] != "" {
			return row["fid"]
		}
	}
	return ""
}

func writeRow(w io.Writer, title string, row map[string]string) {
	fmt.Fprintln(w, title)
	for _, name := range slices.Sorted(maps.Keys(row)) {
		fmt.Fprintf(w, "  %10s: %20s\n", name, row[name])
	}
}

func (c copyJSON) write(w io.Writer, people bool) {
	fmt.Fprintf(w, "Results for path: %s\n", c.URL)
	if people {
		fmt.Fprintf(w, " - Device: dev%s, %s, seen %s\n", c.Device, c.Status, c.Observed)
	}
	if c.Result == "" {
		return
	}
	if c.MD5 != "" {
		fmt.Fprintf(w, " - MD5 Hash: %s\n", c.MD5)
	}
	if c.OK {
		fmt.Fprintf(w, " - Length: %d\n - Last-Modified: %s\n", c.Length, c.Modified)
	}
	fmt.Fprintf(w, " - HTTP result: %s\n", c.Result)
	for _, trouble := range c.Troubles {
		fmt.Fprintf(w, " - ERROR: %s\n", trouble)
	}
}
