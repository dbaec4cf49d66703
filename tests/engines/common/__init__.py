"""What the engines' `up` and `down` share: places, programs, packages, builds, images, cgroups, waiting."""
