package awssim

import (
	_ "embed"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// ec2ParametersText says which parameters each operation of EC2 has; its head tells how.
//
//go:embed ec2params.txt
var ec2ParametersText string

// parameter is one parameter of an operation, or of a structure within one.
type parameter struct {
	required bool
	list     bool
	members  map[string]*parameter // of a structure; nil is a value
}

// ec2Parameters are the parameters of the operations of EC2, by operation. Structures that
// are used in several places are shared.
var ec2Parameters = sync.OnceValue(func() map[string]*parameter {
	head, tail, _ := strings.Cut(ec2ParametersText, "\n\n")
	structures := map[string]map[string]*parameter{}
	structure := func(name string) map[string]*parameter {
		if structures[name] == nil {
			structures[name] = map[string]*parameter{}
		}
		return structures[name]
	}
	for line := range strings.Lines(tail) {
		words := strings.Fields(line)
		members := structure(words[0])
		for _, word := range words[1:] {
			name, kind, _ := strings.Cut(word, ":")
			p := &parameter{}
			name, p.required = strings.CutSuffix(name, "!")
			kind, p.list = strings.CutSuffix(kind, "*")
			if kind != "" {
				p.members = structure(kind)
			}
			members[name] = p
		}
	}
	operations := map[string]*parameter{}
	for line := range strings.Lines(head) {
		if words := strings.Fields(line); !strings.HasPrefix(line, "#") {
			operations[words[0]] = &parameter{members: structure(words[1])}
		}
	}
	return operations
})

// ec2Common are the parameters that every operation has: what it is, and the signatures of
// a query.
var ec2Common = []string{
	"Action", "Version", "AUTHPARAMS", "AWSAccessKeyId", "Expires", "SecurityToken", "Signature", "SignatureMethod", "SignatureVersion", "Timestamp",
	"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-SignedHeaders",
}

// checkEC2Parameters refuses what EC2 refuses before it looks at values: parameters that an
// operation does not have, and calls without one that it needs.
func checkEC2Parameters(operation string, form url.Values) *apiError {
	p := ec2Parameters()[operation]
	if p == nil {
		return nil // an operation of which nothing is known takes what its input has
	}
	var strangers []string
	given := map[string]bool{}
	for name := range form {
		parts := strings.Split(name, ".")
		given[parts[0]] = true
		if !slices.Contains(ec2Common, name) && len(parts) <= maxQueryDepth && !p.knows(parts) {
			strangers = append(strangers, name)
		}
	}
	if len(strangers) > 0 {
		return fault("UnknownParameter", "The parameter %s is not recognized", clip(slices.Min(strangers)))
	}
	var missing []string
	for name, member := range p.members {
		if member.required && !given[name] {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fault("MissingParameter", "The request must contain the parameter %s", slices.Min(missing))
	}
	return nil
}

// knows reports whether the dotted name of a parameter leads somewhere. The end of a list
// may be left out: that is how some clients write an empty one.
func (p *parameter) knows(parts []string) bool {
	if p.list && len(parts) > 0 {
		if _, err := strconv.Atoi(parts[0]); err != nil {
			return true // the decoder has words for that
		}
		parts = parts[1:]
	}
	switch {
	case len(parts) == 0:
		return true
	case p.members == nil:
		return p.list // deeper than a value: the decoder has words for that
	}
	member := p.members[parts[0]]
	return member != nil && member.knows(parts[1:])
}
