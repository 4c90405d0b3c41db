"""What ``graftlm plugins new`` writes: a plugin of each kind that works, with the suite that judges it.

Each kind is a package here, linted and typed as everything else. In a copy, ``graftlm_acme`` is the package,
``graftlm-acme`` the distribution, ``Acme`` begins the names of classes, ``acme`` is the name that a user chooses, and
``KIND`` the kind. ``acme`` stands in texts alone: ``my-thing`` could not be the name of a function. What goes around
it, the same for every kind, lies in ``distribution``.
"""
