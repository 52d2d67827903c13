package frame

import (
	"fmt"
	"io"
	"strings"
)

// misused says what is wrong with a call, and how the command is used.
func (c *Call) misused(why string) int {
	if c.command.Gentle && c.bare {
		return c.showUsage()
	}
	fmt.Fprintf(c.Stdout, "ERROR: %s\n\n", why)
	c.showUsage()
	return 1
}

// showUsage shows how the command is used, and returns the exit code for that alone.
func (c *Call) showUsage() int {
	if c.command.Run == nil {
		return c.showGroup()
	}
	c.writeUsage(c.Stdout, c.command, c.words())
	if c.command.Gentle {
		return 0
	}
	return 1
}

func (c *Call) writeUsage(w io.Writer, cmd *Command, words string) {
	fmt.Fprintf(w, "Usage: %s\n\n%s.\n", cmd.Line(words), cmd.Short)
	if cmd.Long != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(cmd.Long))
	}
	writeOptions(w, "Options", cmd.Options)
	fmt.Fprintf(w, "\n%s lists the options of all commands.\n", c.Program)
}

// Line is the command with its arguments.
func (c *Command) Line(words string) string {
	for _, arg := range c.Args {
		if strings.HasPrefix(arg, "[") {
			words += " [<" + strings.Trim(arg, "[]") + ">]"
			continue
		}
		name, many := strings.CutSuffix(arg, "...")
		words += " <" + name + ">"
		if many {
			words += "..."
		}
	}
	if len(c.Options) > 0 {
		words += " [options]"
	}
	return words
}

func writeOptions(w io.Writer, title string, options []Option) {
	if len(options) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s:\n", title)
	for _, o := range options {
		name := "--" + o.Name
		if o.Value != "" {
			name += "=<" + o.Value + ">"
		}
		fmt.Fprintf(w, "  %-28s %s\n", name, o.Help)
	}
}

// showGroup lists a group's commands. Groups do nothing, so that is a misuse: 1.
func (c *Call) showGroup() int {
	if len(c.parsed.args) > 0 {
		fmt.Fprintf(c.Stdout, "ERROR: Unknown command '%s'\n\n", c.parsed.args[0])
	}
	fmt.Fprintf(c.Stdout, "Usage: %s <command> [options]\n", c.words())
	if long := strings.TrimSpace(c.command.Long); long != "" {
		fmt.Fprintf(c.Stdout, "\n%s\n", long)
	}
	fmt.Fprintln(c.Stdout, "\nCommands:")
	writeCommands(c.Stdout, c.command, "")
	if len(c.parsed.path) > 1 {
		fmt.Fprintf(c.Stdout, "\n%s lists the options of all commands.\n", c.Program)
		return 1
	}
	writeOptions(c.Stdout, "Options of all commands", Global)
	return 1
}

func writeCommands(w io.Writer, group *Command, words string) {
	for _, sub := range group.Sub {
		if sub.Run == nil {
			writeCommands(w, sub, words+sub.Name+" ")
			continue
		}
		fmt.Fprintf(w, "  %-40s %s\n", sub.Line(words+sub.Name), sub.Short)
	}
}
