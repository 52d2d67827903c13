package frame

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/mogilefs/caddy-mogilefs/cli/screen"
)

// Listing is a result in each of its forms.
type Listing struct {
	// JSON is what --json writes.
	JSON any
	// Plain writes what scripts read: byte for byte what the old tools write.
	Plain func(w io.Writer)
	// Table is for people at a terminal; nil means Plain.
	Table func(p screen.Paint) []screen.Table
}

// Show writes a result in the form that was asked for, or else that suits who reads it.
func (c *Call) Show(l Listing) error {
	switch {
	case c.Given("json"):
		out := json.NewEncoder(c.Stdout)
		out.SetIndent("", "  ")
		out.SetEscapeHTML(false)
		if err := out.Encode(l.JSON); err != nil {
			return fmt.Errorf("write JSON: %w", err)
		}
	case c.OutTerminal && l.Table != nil:
		for _, t := range l.Table(c.Paint()) {
			t.Write(c.Stdout)
		}
	default:
		l.Plain(c.Stdout)
	}
	return nil
}

// Paint colours words for Stdout, if that is wanted.
func (c *Call) Paint() screen.Paint { return screen.Paint(c.OutTerminal && c.Color) }
