package frame

import (
	"fmt"
	"slices"
	"strings"
)

// parsed is a command line that was taken apart.
type parsed struct {
	path    []*Command // from the root to the command
	args    []string
	options map[string]string // by name; a switch that is on is 1
}

func (p parsed) command() *Command { return p.path[len(p.path)-1] }

// parse takes a command line apart. As Perl's Getopt::Long does it, options may be
// shortened as long as it is clear what is meant, written with one dash and in any case;
// unlike there they may stand anywhere before a lone --. With an error the path is as far
// as it was understood.
func parse(root *Command, line []string) (parsed, error) {
	p := parsed{path: []*Command{root}, options: map[string]string{}}
	var late []string // options, understood when the command is known
	values := map[string]string{}
	for i := 0; i < len(line); i++ {
		word := line[i]
		switch {
		case word == "--":
			p.words(line[i+1:])
			i = len(line)
		case len(word) > 1 && word[0] == '-':
			name, value, given := strings.Cut(strings.TrimLeft(word, "-"), "=")
			if !given && i+1 < len(line) && !p.isSwitch(name) {
				value, given = line[i+1], true
				i++
			}
			late = append(late, name)
			if given {
				values[name] = value
			}
		default:
			p.words(line[i : i+1])
		}
	}
	for _, name := range late {
		value, given := values[name]
		if err := p.option(name, value, given); err != nil {
			return p, err
		}
	}
	return p, nil
}

// words takes words that are no options.
func (p *parsed) words(words []string) {
	for _, word := range words {
		if sub := p.command().find(word); sub != nil && len(p.args) == 0 {
			p.path = append(p.path, sub)
			continue
		}
		p.args = append(p.args, word)
	}
}

// isSwitch reports whether an option takes no value. Before the command is known, all
// commands are asked.
func (p *parsed) isSwitch(name string) bool {
	known := p.known()
	if len(p.command().Sub) > 0 {
		known = append(known, below(p.command())...)
	}
	if o, err := match(known, name); err == nil {
		return o.IsSwitch()
	}
	return false
}

// known are the options that may be given.
func (p *parsed) known() []Option {
	known := slices.Clone(Global)
	for _, c := range p.path {
		known = append(known, c.Options...)
	}
	return known
}

func below(c *Command) []Option {
	var all []Option
	for _, sub := range c.Sub {
		all = append(append(all, sub.Options...), below(sub)...)
	}
	return all
}

func (p *parsed) option(name, value string, given bool) error {
	o, err := match(p.known(), name)
	switch {
	case err != nil:
		return err
	case o.IsSwitch() && given && value != "1" && value != "0":
		return fmt.Errorf("option %s takes no value", o.Name)
	case o.IsSwitch() && !given:
		value = "1"
	case !given:
		return fmt.Errorf("option %s requires an argument", o.Name)
	}
	p.options[o.Name] = value
	return nil
}

// match finds the option with a name, or the one that begins so.
func match(known []Option, name string) (Option, error) {
	name = strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	var found []Option
	for _, o := range known {
		if name == optionKey(o.Name) || o.Alias != "" && name == o.Alias {
			return o, nil
		}
		same := func(other Option) bool { return other.Name == o.Name }
		if name != "" && strings.HasPrefix(optionKey(o.Name), name) && !slices.ContainsFunc(found, same) {
			found = append(found, o)
		}
	}
	switch len(found) {
	case 0:
		return Option{}, fmt.Errorf("unknown option: %s", name)
	case 1:
		return found[0], nil
	}
	var names []string
	for _, o := range found {
		names = append(names, "--"+o.Name)
	}
	return Option{}, fmt.Errorf("option %s is ambiguous: %s", name, strings.Join(names, ", "))
}

func optionKey(name string) string { return strings.ReplaceAll(name, "-", "_") }
