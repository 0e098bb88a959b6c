"""As little as a project needs: it has no database."""

import os
import secrets

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY") or secrets.token_urlsafe(40)
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["shop.apps.Shop"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "shop.middleware.flags"]
ROOT_URLCONF = "shop.urls"
USE_TZ = True

WAVEGATE_URL = os.environ.get("WAVEGATE_URL", "http://127.0.0.1:8080")
WAVEGATE_SDK_KEY = os.environ.get("WAVEGATE_SDK_KEY")
