package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Access is the least that a user of Redis must be allowed: to write keys with some beginnings,
// and to read these and others.
type Access struct {
	User  string   `json:"user"`
	Write []string `json:"write,omitempty"` // beginnings of keys after the prefix; "" is every key
	Read  []string `json:"read,omitempty"`
}

// AccessList declares the users of Redis. The executors have no cache.
func AccessList() []Access {
	return []Access{
		{User: "watcher", Write: []string{"catalogue:", "learned:", "notices", "refused:", "snapshot:", "taskdef:", "tasks:"}},
		{User: "planner", Write: []string{"plan:", "standing:"}},
		{User: "operator", Read: []string{""}},
	}
}

// ACL writes what users may do in the form of an ACL file of Redis. Nobody gets in without a
// password, and nobody may list, scan or drop keys, run scripts or configure.
func ACL(prefix string, all []Access, passwords map[string]string) (string, error) {
	lines := []string{"user default off nopass resetkeys resetchannels -@all"}
	for _, a := range all {
		password := passwords[a.User]
		if password == "" {
			return "", fmt.Errorf("cache: user %s has no password", a.User)
		}
		sum := sha256.Sum256([]byte(password))
		words := []string{"user", a.User, "on", "#" + hex.EncodeToString(sum[:]), "resetkeys", "resetchannels"}
		for _, key := range a.Write {
			words = append(words, "~"+literal(prefix+key)+"*")
		}
		for _, key := range a.Read {
			words = append(words, "%R~"+literal(prefix+key)+"*")
		}
		words = append(words, "-@all", "+ping", "+get")
		if len(a.Write) > 0 {
			words = append(words, "+set")
		}
		lines = append(lines, strings.Join(words, " "))
	}
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n") + "\n", nil
}

// literal keeps what a pattern of Redis would take for more than itself.
func literal(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(text)
}
