// Package deploy tests what an installation is made of: images and the policies that its
// processes run under. It needs neither a Docker engine nor a Kubernetes.
package deploy
