package capacity

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
)

// Command is the command.
func Command() *frame.Command {
	return &frame.Command{
		Name: "capacity", Short: "Tell what an installation of some size needs", Run: run,
		Long: "From constants that were measured: docs/scale.md says how, and what they are worth. Numbers may be\n" +
			"written 1e9, sizes 30KiB or 20TB. It asks nobody.",
		Options: []frame.Option{
			{Name: "files", Value: "number", Help: "how many files; 1e9 by default"},
			{Name: "size", Value: "size", Help: "of a file, on average; 30KiB by default"},
			{Name: "copies", Value: "number", Help: "of each file; 2 by default"},
			{Name: "key", Value: "bytes", Help: "of a key, on average; 32 by default"},
			{Name: "checksums", Help: "classes keep checksums"},
			{Name: "reads", Value: "number", Help: "in a second, at the busiest time; 5000 by default"},
			{Name: "uploads", Value: "number", Help: "in a second; 50 by default"},
			{Name: "known", Value: "share", Help: "of reads whose location an edge remembers; 0.9 by default"},
			{Name: "cold", Value: "share", Help: "of reads that come to a disk; 0.3 by default"},
			{Name: "disk", Value: "size", Help: "of one disk; 20TB by default"},
			{Name: "disks", Value: "number", Help: "in each machine; 12 by default"},
			{Name: "network", Value: "size", Help: "that a machine sends in a second; 1.25GB by default"},
			{Name: "table", Help: "a table for 10^7 to 10^11 files instead, reads and uploads growing with them"},
		},
	}
}

func run(_ context.Context, c *frame.Call) error {
	n, err := needs(c)
	if err == nil {
		err = n.Validate()
	}
	if err != nil {
		return frame.Fail("", err, "%s --help shows what there is", c.Line("capacity"))
	}
	if c.Given("table") {
		WriteScale(c.Stdout, n)
		return nil
	}
	f := Of(n)
	return c.Show(frame.Listing{JSON: f, Plain: func(w io.Writer) {
		writeTable(w, []string{count(n.Files) + " files"}, [][]line{f.lines()})
	}})
}

// WriteScale writes the table for 10^7 to 10^11 files: what n says of reads and uploads is for
// 10^9 of them.
func WriteScale(w io.Writer, n Needs) {
	var heads []string
	var columns [][]line
	reads, uploads := n.Reads, n.Uploads
	for exponent, files := 7, 1e7; exponent <= 11; exponent, files = exponent+1, files*10 {
		n.Files, n.Reads, n.Uploads = files, reads*files/1e9, uploads*files/1e9
		heads = append(heads, fmt.Sprintf("10^%d files", exponent))
		columns = append(columns, Of(n).lines())
	}
	writeTable(w, heads, columns)
}

func needs(c *frame.Call) (Needs, error) {
	n := Defaults()
	n.Checksums = c.Given("checksums")
	for _, o := range []struct {
		name string
		to   *float64
	}{
		{"files", &n.Files}, {"size", &n.Size}, {"copies", &n.Copies}, {"key", &n.Key}, {"reads", &n.Reads}, {"uploads", &n.Uploads},
		{"known", &n.Known}, {"cold", &n.Cold}, {"disk", &n.Disk}, {"disks", &n.Disks}, {"network", &n.Network},
	} {
		word := c.Option(o.name)
		if word == "" {
			continue
		}
		value, err := quantity(word)
		if err != nil {
			return n, fmt.Errorf("%s %q: want a number such as 1e9, or a size such as 30KiB or 20TB", o.name, word)
		}
		*o.to = value
	}
	return n, nil
}

// units are factors; the longer ones come first.
var units = []struct {
	name   string
	factor float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

func quantity(word string) (float64, error) {
	factor := 1.0
	for _, u := range units {
		if number, ok := strings.CutSuffix(word, u.name); ok {
			word, factor = number, u.factor
			break
		}
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(word), 64)
	return value * factor, err
}
