package fleet

import (
	"encoding/json"
	"strings"
)

// TagSpec is what the launch spec of an instance said when it was launched, as
// [LaunchSpec.Fingerprint] has it. Instances without one were launched before there was such
// a tag: of these only the image can be compared.
const TagSpec = "neap.dev/spec"

// specParts are the parts of a launch spec that an instance keeps for life, each with the
// name that people read.
var specParts = [...]struct {
	key, name string
	of        func(*LaunchSpec) any
}{
	{"t", "launch template", func(l *LaunchSpec) any { return l.LaunchTemplate }},
	{"g", "security groups", func(l *LaunchSpec) any { return l.SecurityGroups }},
	{"p", "instance profile", func(l *LaunchSpec) any { return l.InstanceProfile }},
	{"u", "user data", func(l *LaunchSpec) any { return l.UserData }},
	{"k", "key pair", func(l *LaunchSpec) any { return l.KeyName }},
	{"b", "block devices", func(l *LaunchSpec) any { return l.BlockDevices }},
	{"m", "metadata options", func(l *LaunchSpec) any { return l.Metadata }},
	{"a", "attributes", func(l *LaunchSpec) any { return l.Attributes }},
	{"r", "reserved memory", func(l *LaunchSpec) any { return l.ReservedMemory }},
}

// Fingerprint is what the launch spec says of the things that an instance keeps for life,
// short enough for a tag: "t=1f2e3d4c g=…". The image is not among them: an instance shows
// its own. O(size of the launch spec).
func (l *LaunchSpec) Fingerprint() (string, error) {
	const digits = 8 // of a part: two that differ are alike once in four billion
	words := make([]string, 0, len(specParts))
	for _, p := range specParts {
		b, err := json.Marshal(p.of(l))
		if err != nil {
			return "", err
		}
		if text := string(b); text == "null" || text == `""` || text == "0" || text == "{}" || text == "[]" {
			continue // not set
		}
		words = append(words, p.key+"="+Digest(b)[:digits])
	}
	if len(words) == 0 {
		return "none", nil
	}
	return strings.Join(words, " "), nil
}

// Differences names the parts in which two fingerprints differ, nil if either is unknown.
func Differences(then, now string) []string {
	if then == "" || now == "" || then == now {
		return nil
	}
	had, has := fingerprints(then), fingerprints(now)
	var names []string
	for _, p := range specParts {
		if had[p.key] != has[p.key] {
			names = append(names, p.name)
		}
	}
	return names
}

func fingerprints(text string) map[string]string {
	parts := map[string]string{}
	for word := range strings.FieldsSeq(text) {
		if key, digest, ok := strings.Cut(word, "="); ok {
			parts[key] = digest
		}
	}
	return parts
}
