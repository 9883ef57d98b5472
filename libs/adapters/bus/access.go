package bus

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nkeys"

	"github.com/neap-project/neap/libs/fleet"
)

// The users of NATS: one for each service, one for people, and one that makes the streams.
const (
	UserWatcher   = "watcher"
	UserPlanner   = "planner"
	UserActuator  = "actuator"
	UserDrainer   = "drainer"
	UserOperator  = "operator"  // people, by way of the neap command
	UserBootstrap = "bootstrap" // alone makes streams; needed while they are made
)

// Users are all of them.
func Users() []string {
	return []string{UserBootstrap, UserOperator, UserWatcher, UserPlanner, UserActuator, UserDrainer}
}

// Access is the least that a user of NATS must be allowed, in subjects. What is denied goes before
// what is allowed.
type Access struct {
	User      string   `json:"user"`
	Publish   []string `json:"publish"`
	Deny      []string `json:"denyPublish,omitempty"`
	Subscribe []string `json:"subscribe"`
}

// InboxOf is the prefix of the inboxes of a user: replies to one are none of another's business.
func InboxOf(user string) string { return "_INBOX_" + user }

// AccessOf declares what each user must be allowed in a generation, and in the one that may follow
// it. Streams have a name for each generation, which is one token of a subject, and so users of old
// generations can do nothing any more: that is meant. Nobody but [UserBootstrap] may create or
// change a stream, nobody at all may delete or purge one, and the durable consumers of the
// executors belong to these.
func AccessOf(generation uint64) []Access {
	var all []Access
	for _, user := range Users() {
		a := Access{User: user, Subscribe: []string{InboxOf(user) + ".>"}}
		for _, g := range []grants{{generation}, {generation + 1}} {
			switch user {
			case UserBootstrap:
				a.Publish = append(a.Publish, g.bootstrap()...)
			case UserOperator:
				a.Publish = append(a.Publish, g.operator()...)
				a.Deny = append(a.Deny, g.notTheirs(user)...)
			default:
				a.Publish = append(a.Publish, g.service(user)...)
				a.Deny = append(a.Deny, g.notTheirs(user)...)
			}
		}
		if user != UserBootstrap && user != UserOperator {
			a.Subscribe = append(a.Subscribe, answers(user)...)
		}
		slices.Sort(a.Publish)
		a.Publish = slices.Compact(a.Publish)
		all = append(all, a)
	}
	return all
}

// answers are the subjects on which a service is asked: who it is, and its endpoints.
func answers(user string) []string {
	list := []string{"neap." + user + ".*"}
	for _, verb := range []string{"PING", "INFO", "STATS"} {
		list = append(list, "$SRV."+verb, "$SRV."+verb+"."+user, "$SRV."+verb+"."+user+".*")
	}
	return list
}

// grants puts together what is allowed in one generation.
type grants struct{ generation uint64 }

func (g grants) stream(kind string) string { return streamName(g.generation, kind) }

// reads is what it takes to read a stream, its newest message or all of them.
func (g grants) reads(stream string) []string {
	return []string{
		"$JS.API.STREAM.INFO." + stream, "$JS.API.STREAM.MSG.GET." + stream, "$JS.API.DIRECT.GET." + stream, "$JS.API.DIRECT.GET." + stream + ".>",
		"$JS.API.CONSUMER.CREATE." + stream, "$JS.API.CONSUMER.CREATE." + stream + ".>", "$JS.API.CONSUMER.INFO." + stream + ".*",
		"$JS.API.CONSUMER.MSG.NEXT." + stream + ".*", "$JS.API.CONSUMER.DELETE." + stream + ".*", "$JS.FC." + stream + ".>",
	}
}

// streams are all streams and buckets of a generation.
func (g grants) streams() []string {
	var names []string
	for _, s := range declare(g.generation, BootstrapOptions{}).streams {
		names = append(names, s.Name)
	}
	return names
}

// everyone is what a process needs to find its way: it looks whether everything is there, and
// reads what people have decided.
func (g grants) everyone() []string {
	list := g.reads("KV_" + controlBucket)
	for _, name := range g.streams() {
		list = append(list, "$JS.API.STREAM.INFO."+name)
	}
	return list
}

// lease is what it takes to share out work under a name.
func (g grants) lease(duty string) []string {
	bucket := leaseBucket(g.generation)
	keys := "$KV." + bucket + "."
	return append(g.reads("KV_"+bucket), keys+duty+".>", keys+memberPrefix+duty+".*")
}

func (g grants) service(user string) []string {
	own := func(kind string) string { return subjectPrefix(g.generation, kind) + "*" }
	objects := func(bucket string) []string {
		return append(g.reads("OBJ_"+bucket), "$O."+bucket+".C.>", "$O."+bucket+".M.>")
	}
	list := g.everyone()
	switch user {
	case UserWatcher:
		list = slices.Concat(list, g.lease("watch"), g.reads(g.stream(kindSnapshot)), objects(objectBucket(g.generation)))
		list = append(list, own(kindSnapshot), "$KV."+leaseBucket(g.generation)+".events") // one replica reads the queue of events
	case UserPlanner:
		list = slices.Concat(list, g.lease("plan"), g.reads(g.stream(kindSnapshot)), g.reads("OBJ_"+objectBucket(g.generation)),
			g.reads(g.stream(kindPlan)), g.reads(g.stream(kindOutcome)), objects(recordBucket(g.generation)))
		list = append(list, own(kindPlan))
	case UserActuator, UserDrainer:
		list = slices.Concat(list, g.reads("KV_"+ledgerBucket(g.generation)), g.reads(g.stream(kindPlan)), g.reads(g.stream(kindOutcome)))
		list = append(list, own(kindOutcome), subjectPrefix(g.generation, kindQuarantine)+">", "$KV."+ledgerBucket(g.generation)+".>",
			"$JS.ACK."+g.stream(kindPlan)+"."+user+".>")
	}
	return list
}

// operator reads everything, and writes what people decide.
func (g grants) operator() []string {
	list := g.everyone()
	for _, name := range g.streams() {
		list = append(list, g.reads(name)...)
	}
	control := "$KV." + controlBucket + "."
	list = append(list, control+keyPause)
	for _, key := range []string{keyPause, keyPolicy, keyProtect, keyRoll} {
		list = append(list, control+key+".>")
	}
	list = append(list, "$SRV.PING", "$SRV.INFO", "$SRV.STATS")
	for _, user := range []string{UserWatcher, UserPlanner, UserActuator, UserDrainer} {
		list = append(list, "neap."+user+".*")
	}
	return list
}

// bootstrap creates what is declared, and nothing else.
func (g grants) bootstrap() []string {
	list := append(g.reads("KV_"+controlBucket), "$JS.API.INFO", "$JS.API.STREAM.LIST", "$JS.API.STREAM.NAMES",
		"$KV."+controlBucket+"."+keyPause, "$KV."+controlBucket+"."+keyGeneration)
	for _, name := range g.streams() {
		list = append(list, "$JS.API.STREAM.INFO."+name, "$JS.API.STREAM.CREATE."+name, "$JS.API.STREAM.UPDATE."+name)
	}
	for earlier := uint64(1); earlier < g.generation; earlier++ { // which it seals
		for _, name := range sealed(earlier) {
			list = append(list, "$JS.API.STREAM.INFO."+name, "$JS.API.STREAM.UPDATE."+name)
		}
	}
	return append(list, "$JS.API.CONSUMER.CREATE."+g.stream(kindPlan)+".>")
}

// notTheirs are the durable consumers of others: who reads a stream may make consumers of it, and
// must not take plans away from those whom they are for.
func (g grants) notTheirs(user string) []string {
	var deny []string
	for _, durable := range []string{Actuator, Drainer} {
		of := g.stream(kindPlan) + "." + durable
		deny = append(deny, "$JS.API.CONSUMER.CREATE."+of, "$JS.API.CONSUMER.CREATE."+of+".>", "$JS.API.CONSUMER.DELETE."+of)
		if user != durable {
			deny = append(deny, "$JS.API.CONSUMER.MSG.NEXT."+of)
		}
	}
	return deny
}

// NewSeed makes the seed of a user's nkey: a secret, which only the user has.
func NewSeed() (string, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return "", fmt.Errorf("make an nkey: %w", err)
	}
	seed, err := pair.Seed()
	return string(seed), err
}

// PublicKey is the key that belongs to a seed, by which a server knows the user.
func PublicKey(seed string) (string, error) {
	pair, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return "", fmt.Errorf("%w: it holds no seed of an nkey: %w", fleet.ErrInvalid, err)
	}
	return pair.PublicKey()
}

// ServerConfig writes what users may do as the authorization block of a nats-server, to be included
// into its configuration. keys are the public nkeys of the users.
func ServerConfig(all []Access, keys map[string]string) (string, error) {
	var b strings.Builder
	b.WriteString("# Who may do what on NATS. Written by neap access create; include it into the configuration of nats-server.\nauthorization {\n  users = [\n")
	for i := range all {
		a := &all[i]
		key := keys[a.User]
		if key == "" {
			return "", fmt.Errorf("bus: user %s has no key", a.User)
		}
		publish := map[string][]string{"allow": a.Publish}
		if len(a.Deny) > 0 {
			publish["deny"] = a.Deny
		}
		permissions := map[string]any{"publish": publish, "subscribe": map[string][]string{"allow": a.Subscribe}}
		if a.User != UserBootstrap && a.User != UserOperator {
			permissions["allow_responses"] = map[string]any{"max": 1, "expires": endpointTimeout.String()} // to who asks
		}
		fmt.Fprintf(&b, "    # %s\n    { nkey: %s, permissions: ", a.User, key)
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("    ", "  ")
		if err := e.Encode(permissions); err != nil {
			return "", fmt.Errorf("bus: permissions of %s: %w", a.User, err)
		}
		b.WriteString("    }\n")
	}
	b.WriteString("  ]\n}\n")
	return b.String(), nil
}
