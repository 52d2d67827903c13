package screen

import (
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Table is rows below a header.
type Table struct {
	// Title stands above; may be empty.
	Title  string
	Header []string
	// Right lists the columns that are aligned to the right, from 0.
	Right []int
	Rows  [][]string
}

// Add adds a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Write writes the table, or that there is nothing.
func (t Table) Write(w io.Writer) {
	if t.Title != "" {
		fmt.Fprintln(w, t.Title)
	}
	if len(t.Rows) == 0 {
		fmt.Fprintln(w, "none")
		return
	}
	out := table.NewWriter()
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatDefault
	out.SetStyle(style)
	out.SuppressTrailingSpaces()
	out.AppendHeader(row(t.Header))
	var columns []table.ColumnConfig
	for _, i := range t.Right {
		columns = append(columns, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	out.SetColumnConfigs(columns)
	for _, cells := range t.Rows {
		out.AppendRow(row(cells))
	}
	fmt.Fprintln(w, out.Render())
}

func row(cells []string) table.Row {
	r := make(table.Row, len(cells))
	for i, cell := range cells {
		r[i] = cell
	}
	return r
}
